import { z } from "zod";
import type { OperationResult } from "@/server/bus/messages";
import { type Context, memberAccount } from "../context";
import { idField, validate } from "../validate";
import { operate, resourcePathField } from "./operate";

export const executeResourceInput = z.object({
  id: idField,
  path: resourcePathField,
  args: z.string().max(1024, "may have at most 1024 characters").default(""),
});

/** Executes a resource of the device. */
export async function executeResource(
  ctx: Context,
  input: z.input<typeof executeResourceInput>,
): Promise<OperationResult> {
  memberAccount(ctx.actor);
  const { id, path, args } = validate(executeResourceInput, input);
  return operate(ctx, "device.execute", id, { path, args });
}
