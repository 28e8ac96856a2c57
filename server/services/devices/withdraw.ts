import type { z } from "zod";
import type { Context } from "../context";
import { ServiceError } from "../errors";
import { idInput } from "../validate";
import { removeDevice } from "./remove";
import { findDevice } from "./search";

/** Device execution mode of what came in by a certificate of its own. */
const PRODUCTION = 5;

export const withdrawDeviceInput = idInput;

/** Deletes a device as applications may: Pelion's contract keeps production devices. */
export async function withdrawDevice(
  ctx: Context,
  input: z.input<typeof withdrawDeviceInput>,
): Promise<void> {
  const device = await findDevice(ctx, input);
  if (device.executionMode === PRODUCTION)
    throw new ServiceError(
      "bad_request",
      "A production device cannot be deleted through the API. Delete it in the portal.",
    );
  await removeDevice(ctx, { id: device.id });
}
