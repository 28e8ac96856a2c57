import { type Context, requireSystem } from "../context";

/** A renewal that takes longer than the bus waits for an answer will never end by itself. */
export const INTERRUPTED_MS = 300_000;

/** How a renewal ends of which nobody knows what came. */
export const interrupted = {
  status: "completed",
  result: "failure",
  detail: "The portal stopped before the device had answered.",
} as const;

/** Ends the renewals that the process before this one left behind; those that the gateway saw succeed, as such. */
export async function recoverRenewals(ctx: Context): Promise<void> {
  requireSystem(ctx.actor);
  const open = await ctx.db.certificateEnrollment.findMany({
    where: { status: "new" },
    select: { id: true, deviceId: true, createdAt: true },
  });
  for (const { id, deviceId, createdAt } of open) {
    const renewed = await ctx.db.deviceEvent.count({
      where: { deviceId, type: "certificate.renewed", at: { gte: createdAt } },
    });
    await ctx.db.certificateEnrollment.updateMany({
      where: { id, status: "new" },
      data: {
        ...(renewed > 0 ? { status: "completed", result: "success", detail: null } : interrupted),
        updatedAt: new Date(ctx.clock.now()),
      },
    });
  }
}
