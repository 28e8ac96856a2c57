import type { z } from "zod";
import type { OperationResult } from "@/server/bus/messages";
import { type Context, memberAccount } from "../context";
import { idInput, validate } from "../validate";
import { ABILITY_PATHS, requireAbility } from "./abilities";
import { operate } from "./operate";

export const rebootDeviceInput = idInput;

/** Has the device start again; the gateway writes the event. */
export async function rebootDevice(
  ctx: Context,
  input: z.input<typeof rebootDeviceInput>,
): Promise<OperationResult> {
  memberAccount(ctx.actor);
  const { id } = validate(rebootDeviceInput, input);
  await requireAbility(ctx, id, "reboot");
  const result = await operate(ctx, "device.execute", id, { path: ABILITY_PATHS.reboot, args: "" });
  return result.ok ? { ...result, message: "it starts again, and registers when it is back" } : result;
}
