import { createHash, randomBytes } from "node:crypto";
import { z } from "zod";
import { Prisma, type Transaction } from "@/server/db";
import { auditChange } from "../audit/record";
import { actorLabel, type Context, memberAccount, requireSystem } from "../context";
import { notFound, ServiceError } from "../errors";
import { newId } from "../ids";
import { findPage, type Page, type PageInput, pageInput } from "../page";
import { transaction } from "../transaction";
import { idInput, nameField, validate } from "../validate";
import { type UserView, userFacts, userSelect, viewUser } from "./get";
import { hashPassword, passwordField } from "./password";

/** Days that a link works when nobody says. */
export const INVITATION_DAYS = 30;
const DAY_MS = 86_400_000;

const hashToken = (token: string) => createHash("sha256").update(token).digest("hex");

/** The invitation of a user who has no password yet. */
export interface InvitationView {
  id: string;
  accountId: string;
  userId: string;
  email: string;
  role: UserView["role"];
  createdAt: Date;
  expiresAt: Date;
}

/** An invitation that was just made: the only time that its token is seen. */
export interface Invited {
  id: string;
  token: string;
}

/** Where somebody goes with a token. */
export const invitationPath = (token: string): string => `/invitation?token=${token}`;

/** Makes the invitation of a user; there is no mail here, so whoever makes it hands on the link. */
export async function invite(
  ctx: Context,
  tx: Transaction,
  { accountId, userId, validForDays }: { accountId: string; userId: string; validForDays: number },
): Promise<Invited> {
  const at = ctx.clock.now();
  const id = newId(at);
  const token = randomBytes(24).toString("base64url");
  await tx.userInvitation.create({
    data: {
      id,
      accountId,
      userId,
      hash: hashToken(token),
      createdBy: actorLabel(ctx.actor),
      createdAt: new Date(at),
      expiresAt: new Date(at + validForDays * DAY_MS),
    },
  });
  return { id, token };
}

const invitationSelect = {
  id: true,
  accountId: true,
  userId: true,
  createdAt: true,
  expiresAt: true,
  user: { select: { email: true, role: true } },
} as const;

type Row = Omit<InvitationView, "email" | "role"> & { user: { email: string; role: string } };

const view = ({ user, ...row }: Row): InvitationView => ({
  ...row,
  email: user.email,
  role: user.role === "administrator" ? "administrator" : "developer",
});

/** A page of the account's invitations that nobody has followed yet. */
export async function searchInvitations(ctx: Context, input: PageInput = {}): Promise<Page<InvitationView>> {
  const accountId = memberAccount(ctx.actor);
  const page = validate(pageInput, input);
  return findPage(
    ctx,
    Prisma.sql`"UserInvitation"`,
    Prisma.sql`"accountId" = ${accountId}`,
    page,
    async (ids) =>
      (
        await ctx.db.userInvitation.findMany({
          where: { accountId, id: { in: ids } },
          select: invitationSelect,
        })
      ).map(view),
  );
}

/** An invitation of the account, without its token. */
export async function findInvitation(ctx: Context, input: z.input<typeof idInput>): Promise<InvitationView> {
  const accountId = memberAccount(ctx.actor);
  const { id } = validate(idInput, input);
  const row = await ctx.db.userInvitation.findFirst({ where: { id, accountId }, select: invitationSelect });
  if (!row) throw notFound("Invitation");
  return view(row);
}

/** Whom a link is for; null when it does not work (any more). */
export async function checkInvitation(
  ctx: Context,
  token: string,
): Promise<{ email: string; name: string; accountName: string } | null> {
  requireSystem(ctx.actor);
  const row = await ctx.db.userInvitation.findFirst({
    where: { hash: hashToken(token), expiresAt: { gt: new Date(ctx.clock.now()) } },
    select: { user: { select: { email: true, name: true, account: { select: { name: true } } } } },
  });
  return row && { email: row.user.email, name: row.user.name, accountName: row.user.account.name };
}

export const acceptInvitationInput = z.object({
  token: z.string().max(100),
  password: passwordField,
  name: nameField(100).optional(),
});

/** Gives an invited user the password they chose; the link opens this once. */
export async function acceptInvitation(
  ctx: Context,
  input: z.input<typeof acceptInvitationInput>,
): Promise<{ email: string }> {
  requireSystem(ctx.actor);
  const { token, password, name } = validate(acceptInvitationInput, input);
  const hash = hashToken(token);
  const found = await ctx.db.userInvitation.findFirst({
    where: { hash, expiresAt: { gt: new Date(ctx.clock.now()) } },
    select: { id: true, accountId: true, user: { select: userSelect } },
  });
  if (!found) throw usedUp();
  const passwordHash = await hashPassword(password);
  const before = viewUser(found.user);
  const { id, accountId, email } = before;
  await transaction(ctx, async (tx) => {
    // Of two that follow it at once only one finds it.
    const { count } = await tx.userInvitation.deleteMany({ where: { id: found.id, hash } });
    if (count === 0) throw usedUp();
    const after = await tx.user.update({
      where: { id },
      data: {
        passwordHash,
        status: "ACTIVE",
        ...(name && { name }),
        updatedAt: new Date(ctx.clock.now()),
      },
      select: userSelect,
    });
    const self = { kind: "user", id, accountId, role: before.role, email } as const;
    await auditChange({ ...ctx, actor: self }, tx, {
      action: "user.joined",
      objectType: "user",
      objectId: id,
      before: userFacts(before),
      after: userFacts(viewUser(after)),
    });
  });
  return { email };
}

const usedUp = () =>
  new ServiceError("forbidden", "This invitation is no longer valid. Ask for another one.");
