import { type Context, memberAccount } from "../context";
import { notFound } from "../errors";
import { type AccountDetails, readDetails } from "./details";

/** An account as its members see it. */
export interface AccountView {
  id: string;
  name: string;
  status: "ACTIVE" | "SUSPENDED";
  details: AccountDetails;
  /** Devices of Pelion's kind make their own keys (EST). */
  deviceKeys: boolean;
  /** Seconds; null: the default. */
  registrationLifetime: number | null;
  createdAt: Date;
  updatedAt: Date;
}

export const accountSelect = {
  id: true,
  name: true,
  status: true,
  details: true,
  deviceKeys: true,
  registrationLifetime: true,
  createdAt: true,
  updatedAt: true,
} as const;

type Row = Omit<AccountView, "status" | "details"> & { status: string; details: string };

export const accountView = ({ status, details, ...row }: Row): AccountView => ({
  ...row,
  status: status === "SUSPENDED" ? "SUSPENDED" : "ACTIVE",
  details: readDetails(details),
});

/** What the audit log tells of an account. */
export const accountFacts = ({ name, status, details, deviceKeys, registrationLifetime }: AccountView) => ({
  name,
  status,
  details,
  deviceKeys,
  registrationLifetime,
});

/** The account of the actor. */
export async function getAccount(ctx: Context): Promise<AccountView> {
  const id = memberAccount(ctx.actor);
  const account = await ctx.db.account.findUnique({ where: { id }, select: accountSelect });
  if (!account) throw notFound("Account");
  return accountView(account);
}
