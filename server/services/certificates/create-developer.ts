import { randomBytes } from "node:crypto";
import { z } from "zod";
import { fingerprint, createDeveloperCertificate as makeCertificate, parseCertificate } from "@/server/pki";
import { auditChange } from "../audit/record";
import { actorLabel, type Context, memberAccount } from "../context";
import { ServiceError } from "../errors";
import { recordEvent } from "../events/record";
import { newId } from "../ids";
import { isUniqueViolation, tellGateway, transaction } from "../transaction";
import { descriptionField, nameField, validate } from "../validate";
import { CERTIFICATES_PER_ACCOUNT } from "./view";

export const createDeveloperCertificateInput = z.object({
  name: nameField(100),
  description: descriptionField(500).default(""),
  /** The REST API shows the key for as long as the certificate is there; the portal erases it at the download. */
  keepKey: z.boolean().default(false),
});

/** What a developer certificate's key is sealed for. */
export const DEVELOPER_KEY_PURPOSE = "developer-certificate";

/** Makes a developer certificate; its key is kept, sealed, until its bundle is downloaded or, with `keepKey`, for good. */
export async function createDeveloperCertificate(
  ctx: Context,
  input: z.input<typeof createDeveloperCertificateInput>,
): Promise<{ id: string; name: string; endpointName: string; fingerprint: string; notAfter: Date }> {
  const accountId = memberAccount(ctx.actor);
  const { name, description, keepKey } = validate(createDeveloperCertificateInput, input);
  const endpointName = randomBytes(16).toString("hex");
  const made = makeCertificate({ accountId, endpointName }, ctx.clock);
  const facts = parseCertificate(made.certificate);
  const print = fingerprint(made.certificate);
  const at = ctx.clock.now();
  const id = newId(at);
  try {
    await transaction(ctx, async (tx, tell) => {
      await tx.trustedCertificate.create({
        data: {
          id,
          accountId,
          name,
          description,
          certificate: Uint8Array.from(made.certificate),
          fingerprint: print,
          subject: facts.subjectText,
          issuer: facts.issuer,
          notBefore: facts.notBefore,
          notAfter: facts.notAfter,
          developer: true,
          endpointName,
          privateKey: Uint8Array.from(ctx.vault.seal(made.privateKey, DEVELOPER_KEY_PURPOSE)),
          keepsKey: keepKey,
          createdBy: actorLabel(ctx.actor),
          createdAt: new Date(at),
          updatedAt: new Date(at),
        },
      });
      if ((await tx.trustedCertificate.count({ where: { accountId } })) > CERTIFICATES_PER_ACCOUNT) {
        throw new ServiceError(
          "limit_exceeded",
          `An account may have ${CERTIFICATES_PER_ACCOUNT} certificates. Delete one that is no longer needed.`,
        );
      }
      await auditChange(ctx, tx, {
        action: "trusted-certificate.created",
        objectType: "trusted-certificate",
        objectId: id,
        before: null,
        after: { name, description, developer: true, endpointName, fingerprint: print, status: "ACTIVE" },
      });
      tell(
        await recordEvent(ctx, tx, "certificate.created", {
          accountId,
          deviceId: null,
          data: { certificateId: id, name, fingerprint: print, developer: true },
        }),
      );
    });
  } catch (error) {
    if (isUniqueViolation(error)) {
      throw new ServiceError("conflict", `There is a certificate named “${name}” already.`, [
        { name: "name", message: "is taken" },
      ]);
    }
    throw error;
  }
  await tellGateway(ctx, "trust.reload", {});
  return { id, name, endpointName, fingerprint: print, notAfter: facts.notAfter };
}
