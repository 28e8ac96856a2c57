import type { z } from "zod";
import type { OperationResult } from "@/server/bus/messages";
import { type Context, memberAccount } from "../context";
import { idInput, validate } from "../validate";
import { requireAbility } from "./abilities";
import { operate } from "./operate";

export const renewDeviceCertificateInput = idInput;

/** Has a device of Pelion's kind make a new key and get a new LwM2M certificate; the gateway writes the events. */
export async function renewDeviceCertificate(
  ctx: Context,
  input: z.input<typeof renewDeviceCertificateInput>,
): Promise<OperationResult> {
  memberAccount(ctx.actor);
  const { id } = validate(renewDeviceCertificateInput, input);
  await requireAbility(ctx, id, "renewCertificate");
  return operate(ctx, "device.renew", id, {});
}
