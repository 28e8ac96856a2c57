import type { Context } from "../context";
import { tellGateway } from "../transaction";

/** Whose channel it is: an application, or an API key that stands for itself. */
export interface Owner {
  accountId: string;
  ownerId: string;
}

/**
 * Tells both processes that the channel of an owner changed, or that the owner is gone; to be called after the commit.
 * When it resolves, the gateway writes into the queue of the owner, or no longer does.
 */
export async function announceOwner(ctx: Context, owner: Owner): Promise<void> {
  const { accountId, ownerId } = owner;
  await tellGateway(ctx, "owner.reload", { accountId, ownerId });
  ctx.bus.publish({ kind: "channel", accountId, deviceId: null, ownerId });
}
