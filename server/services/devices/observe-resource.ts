import type { z } from "zod";
import type { OperationResult } from "@/server/bus/messages";
import { type Context, memberAccount } from "../context";
import { validate } from "../validate";
import { onPath, operate } from "./operate";

export const observeResourceInput = onPath;

/** Has the device tell of changes, from now on and after every registration. */
export async function observeResource(
  ctx: Context,
  input: z.input<typeof observeResourceInput>,
): Promise<OperationResult> {
  memberAccount(ctx.actor);
  const { id, path } = validate(observeResourceInput, input);
  return operate(ctx, "device.observe", id, { path });
}
