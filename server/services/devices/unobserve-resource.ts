import type { z } from "zod";
import type { OperationResult } from "@/server/bus/messages";
import { type Context, memberAccount } from "../context";
import { validate } from "../validate";
import { onPath, operate } from "./operate";

export const unobserveResourceInput = onPath;

/** Ends an observation. */
export async function unobserveResource(
  ctx: Context,
  input: z.input<typeof unobserveResourceInput>,
): Promise<OperationResult> {
  memberAccount(ctx.actor);
  const { id, path } = validate(unobserveResourceInput, input);
  return operate(ctx, "device.unobserve", id, { path });
}
