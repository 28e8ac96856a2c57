import type { BusEvent } from "@/server/bus/messages";
import type { Prisma, Transaction } from "@/server/db";
import { auditChange } from "../audit/record";
import type { Context } from "../context";
import { recordEvent } from "../events/record";
import { userFacts, userSelect, viewUser } from "./get";

/** Writes a user, and what the audit log and the timeline of the account tell of it. */
export async function insertUser(
  ctx: Context,
  tx: Transaction,
  tell: (message: BusEvent) => void,
  user: Prisma.UserUncheckedCreateInput & { role: string },
): Promise<void> {
  const { id, accountId, email, role } = user;
  const row = await tx.user.create({ data: user, select: userSelect });
  await auditChange(ctx, tx, {
    action: "user.created",
    objectType: "user",
    objectId: id,
    before: null,
    after: userFacts(viewUser(row)),
    accountId,
  });
  const data = { userId: id, email, role };
  tell(await recordEvent(ctx, tx, "user.created", { accountId, deviceId: null, data }));
}
