import type { z } from "zod";
import { type Context, memberAccount } from "../context";
import { notFound } from "../errors";
import { idInput, validate } from "../validate";
import { type CertificateView, certificateSelect, certificateView } from "./view";

export const getCertificateInput = idInput;

/** A certificate the account trusts, with its DER. */
export async function getCertificate(
  ctx: Context,
  input: z.input<typeof getCertificateInput>,
): Promise<CertificateView & { certificate: Uint8Array }> {
  const accountId = memberAccount(ctx.actor);
  const { id } = validate(getCertificateInput, input);
  const row = await ctx.db.trustedCertificate.findFirst({
    where: { id, accountId },
    select: { ...certificateSelect, certificate: true },
  });
  if (!row) throw notFound("Certificate");
  const { certificate, ...rest } = row;
  return { ...certificateView(rest), certificate };
}
