import { z } from "zod";
import type { Transaction } from "@/server/db";
import { auditChange } from "../audit/record";
import { type Context, memberAccount } from "../context";
import { notFound } from "../errors";
import { recordEvent } from "../events/record";
import { transaction } from "../transaction";
import { idField, validate } from "../validate";

export const groupMemberInput = z.object({ id: idField, deviceId: idField });
type Input = z.input<typeof groupMemberInput>;

/** Puts a device into a group; one that is in it already stays in it. */
export const addGroupMember = (ctx: Context, input: Input): Promise<void> =>
  change(ctx, input, "device-group.device-added", async (tx, groupId, deviceId) => {
    const known = await tx.deviceGroupMember.count({ where: { groupId, deviceId } });
    if (known === 0) await tx.deviceGroupMember.create({ data: { groupId, deviceId } });
    return known === 0;
  });

/** Takes a device out of a group; the device stays in the directory. */
export const removeGroupMember = (ctx: Context, input: Input): Promise<void> =>
  change(ctx, input, "device-group.device-removed", async (tx, groupId, deviceId) => {
    const { count } = await tx.deviceGroupMember.deleteMany({ where: { groupId, deviceId } });
    return count > 0;
  });

async function change(
  ctx: Context,
  input: Input,
  action: string,
  run: (tx: Transaction, groupId: string, deviceId: string) => Promise<boolean>,
): Promise<void> {
  const accountId = memberAccount(ctx.actor);
  const { id, deviceId } = validate(groupMemberInput, input);
  const updatedAt = new Date(ctx.clock.now());
  await transaction(ctx, async (tx, tell) => {
    // Writes first, as a transaction has to begin; nothing of it stays when nothing is changed.
    const group = await tx.deviceGroup.updateMany({ where: { id, accountId }, data: { updatedAt } });
    if (group.count === 0) throw notFound("Device group");
    const device = await tx.device.updateMany({ where: { id: deviceId, accountId }, data: { updatedAt } });
    if (device.count === 0) throw notFound("Device");
    if (!(await run(tx, id, deviceId))) throw new Unchanged();
    const member = { deviceId };
    const added = action === "device-group.device-added";
    await auditChange(ctx, tx, {
      action,
      objectType: "device-group",
      objectId: id,
      before: added ? null : member,
      after: added ? member : null,
    });
    const data = { fields: ["device groups"] };
    tell(await recordEvent(ctx, tx, "device.updated", { accountId, deviceId, data }));
    tell({ kind: "device", accountId, deviceId, change: "updated" });
  }).catch((error: unknown) => {
    if (!(error instanceof Unchanged)) throw error;
  });
}

/** Rolls back a change that changes nothing. */
class Unchanged extends Error {}
