import { type Context, ownerOf } from "../context";
import { otherKind, putChannel } from "./put";
import { serialization } from "./types";

/** Makes sure that the actor has a channel for long polling; the first poll makes it. */
export async function openPollChannel(ctx: Context): Promise<void> {
  const { ownerId } = ownerOf(ctx.actor);
  const found = await ctx.db.notificationChannel.findUnique({ where: { ownerId }, select: { kind: true } });
  if (found?.kind === "LONG_POLLING") return;
  if (found) throw otherKind(found.kind);
  await putChannel(ctx, { kind: "LONG_POLLING", serialization: serialization.parse({}) });
}
