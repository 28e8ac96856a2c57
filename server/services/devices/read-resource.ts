import type { z } from "zod";
import type { OperationResult } from "@/server/bus/messages";
import { type Context, memberAccount } from "../context";
import { validate } from "../validate";
import { onPath, operate } from "./operate";

export const readResourceInput = onPath;

/** Reads an object, instance or resource from the device. */
export async function readResource(
  ctx: Context,
  input: z.input<typeof readResourceInput>,
): Promise<OperationResult> {
  memberAccount(ctx.actor);
  const { id, path } = validate(readResourceInput, input);
  return operate(ctx, "device.read", id, { path });
}
