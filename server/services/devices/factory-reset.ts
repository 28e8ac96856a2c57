import type { z } from "zod";
import type { OperationResult } from "@/server/bus/messages";
import { type Context, memberAccount } from "../context";
import { idInput, validate } from "../validate";
import { ABILITY_PATHS, requireAbility } from "./abilities";
import { operate } from "./operate";

export const factoryResetDeviceInput = idInput;

/** Has the device forget its credentials and settings; the gateway writes the event. */
export async function factoryResetDevice(
  ctx: Context,
  input: z.input<typeof factoryResetDeviceInput>,
): Promise<OperationResult> {
  memberAccount(ctx.actor);
  const { id } = validate(factoryResetDeviceInput, input);
  await requireAbility(ctx, id, "factoryReset");
  const result = await operate(ctx, "device.execute", id, { path: ABILITY_PATHS.factoryReset, args: "" });
  return result.ok
    ? {
        ...result,
        message: "it forgets what it was given and bootstraps anew, at the latest when it starts again",
      }
    : result;
}
