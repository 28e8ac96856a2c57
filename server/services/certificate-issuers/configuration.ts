import { createHash } from "node:crypto";
import { z } from "zod";
import { type Context, memberAccount, requireAdministrator } from "../context";
import { notFound, ServiceError } from "../errors";
import { idField, validate } from "../validate";

/** Who issues the certificates of one kind; here always the instance's own CA. */
export interface IssuerConfiguration {
  id: string;
  reference: "LWM2M";
  createdAt: Date;
}

/** Which CA issues the certificates by which devices are known to the LwM2M service. */
export async function getIssuerConfiguration(ctx: Context): Promise<IssuerConfiguration> {
  const accountId = memberAccount(ctx.actor);
  const account = await ctx.db.account.findUnique({ where: { id: accountId }, select: { createdAt: true } });
  if (!account) throw notFound("Account");
  return {
    // It follows from the account, so that no row is needed.
    id: createHash("sha256").update(`issuer-configuration:${accountId}`).digest("hex").slice(0, 32),
    reference: "LWM2M",
    createdAt: account.createdAt,
  };
}

/** The same by its id. */
export async function findIssuerConfiguration(
  ctx: Context,
  { id }: { id: string },
): Promise<IssuerConfiguration> {
  const configuration = await getIssuerConfiguration(ctx);
  if (configuration.id !== id) throw notFound("Certificate issuer configuration");
  return configuration;
}

export const setIssuerInput = z.object({
  /** Null: the instance's own CA. */
  issuerId: idField.nullable(),
});

/** Chooses who issues; there is nobody but the instance's own CA to choose. */
export async function setIssuer(ctx: Context, input: z.input<typeof setIssuerInput>): Promise<void> {
  requireAdministrator(ctx.actor);
  const { issuerId } = validate(setIssuerInput, input);
  if (issuerId === null) return;
  const message =
    "must be null: certificates are issued by the instance's own CA, and there is no other issuer";
  throw new ServiceError("bad_request", `certificateIssuerId: ${message}`, [
    { name: "certificateIssuerId", message },
  ]);
}
