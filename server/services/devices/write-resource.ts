import { z } from "zod";
import type { OperationResult, ResourceValue } from "@/server/bus/messages";
import { ContentError, parseInput } from "@/server/lwm2m";
import { type Context, memberAccount } from "../context";
import { ServiceError } from "../errors";
import { idField, validate } from "../validate";
import { operate, resourcePathField } from "./operate";

export const writeResourceInput = z.object({
  id: idField,
  path: resourcePathField,
  /** As typed by a person; read by the type of the resource. */
  value: z.string().max(65_536, "may have at most 65536 characters"),
});

/** Writes what a person typed to a resource of the device. */
export async function writeResource(
  ctx: Context,
  input: z.input<typeof writeResourceInput>,
): Promise<OperationResult> {
  memberAccount(ctx.actor);
  const { id, path, value } = validate(writeResourceInput, input);
  return operate(ctx, "device.write", id, { path, value: readTyped(path, value) });
}

function readTyped(path: string, text: string): ResourceValue {
  try {
    return parseInput(path, text);
  } catch (error) {
    if (!(error instanceof ContentError)) throw error;
    throw new ServiceError("validation_error", error.message, [{ name: "value", message: error.message }]);
  }
}
