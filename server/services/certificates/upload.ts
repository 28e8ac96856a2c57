import { verify, X509Certificate } from "node:crypto";
import { z } from "zod";
import type { Transaction } from "@/server/db";
import { authorityOf, fingerprint, parseCertificate } from "@/server/pki";
import { auditChange } from "../audit/record";
import { actorLabel, type Context, memberAccount, requireAdministrator } from "../context";
import { notFound, ServiceError } from "../errors";
import { recordEvent } from "../events/record";
import { newId } from "../ids";
import { isUniqueViolation, tellGateway, transaction } from "../transaction";
import { descriptionField, given, idField, nameField, validate } from "../validate";
import { findCertificate } from "./search";
import { CERTIFICATES_PER_ACCOUNT } from "./view";

const pem = z.string().min(1, "is needed").max(65_536, "may have at most 65536 characters");
/** Base64 of a signature over the account's id, made with the key of the certificate. */
const signature = z.string().max(4096, "may have at most 4096 characters");
const service = z.enum(["bootstrap", "lwm2m"]);
const status = z.enum(["ACTIVE", "INACTIVE"]);

export const uploadCertificateInput = z.object({
  name: nameField(100),
  description: descriptionField(500).default(""),
  /** PEM of a CA, or of a chain from the root to a leaf: then of the root. */
  certificate: pem,
  signature: signature.optional(),
  service: service,
  status: status.default("ACTIVE"),
  enrollmentMode: z.boolean().default(false),
});

/** Trusts a CA: devices with a certificate of it may come in by one of the two services. */
export async function uploadCertificate(
  ctx: Context,
  input: z.input<typeof uploadCertificateInput>,
): Promise<{ id: string }> {
  const accountId = requireAdministrator(ctx.actor);
  const { certificate, signature: proof, ...facts } = validate(uploadCertificateInput, input);
  const at = ctx.clock.now();
  const { proven, ...content } = readCertificate(accountId, certificate, proof);
  if (!proven && !facts.enrollmentMode) throw unproven(accountId);
  const id = newId(at);
  await named(facts.name, () =>
    transaction(ctx, async (tx, tell) => {
      await tx.trustedCertificate.create({
        data: {
          id,
          accountId,
          ...facts,
          ...content,
          provenAt: proven ? new Date(at) : null,
          createdBy: actorLabel(ctx.actor),
          createdAt: new Date(at),
          updatedAt: new Date(at),
        },
      });
      const { subject } = content;
      await checkShared(tx, id);
      if ((await tx.trustedCertificate.count({ where: { accountId, subject } })) > 1) throw taken(subject);
      if ((await tx.trustedCertificate.count({ where: { accountId } })) > CERTIFICATES_PER_ACCOUNT)
        throw new ServiceError(
          "limit_exceeded",
          `An account may have ${CERTIFICATES_PER_ACCOUNT} certificates. Delete one that is no longer needed.`,
          [{ name: "cert-count", message: String(CERTIFICATES_PER_ACCOUNT) }],
        );
      await auditChange(ctx, tx, {
        action: "trusted-certificate.created",
        objectType: "trusted-certificate",
        objectId: id,
        before: null,
        after: picked({ ...facts, ...content }),
      });
      tell(
        await recordEvent(ctx, tx, "certificate.created", {
          accountId,
          deviceId: null,
          data: {
            certificateId: id,
            name: facts.name,
            fingerprint: content.fingerprint,
            developer: false,
          },
        }),
      );
    }),
  );
  await tellGateway(ctx, "trust.reload", {});
  return { id };
}

export const updateCertificateInput = z
  .object({
    id: idField,
    name: nameField(100).optional(),
    description: descriptionField(500).optional(),
    certificate: pem.optional(),
    signature: signature.optional(),
    service: service.optional(),
    status: status.optional(),
    enrollmentMode: z.boolean().optional(),
  })
  .refine(
    ({ id: _, signature: __, ...changes }) => Object.values(changes).some((value) => value !== undefined),
    "must change something",
  );

/** Changes a trusted certificate; the sessions of devices that rest on one switched off end. */
export async function updateCertificate(
  ctx: Context,
  input: z.input<typeof updateCertificateInput>,
): Promise<void> {
  const accountId = memberAccount(ctx.actor);
  const { id, certificate, signature: proof, ...facts } = validate(updateCertificateInput, input);
  const known = await findCertificate(ctx, { id });
  if (!known.developer) requireAdministrator(ctx.actor);
  const read = certificate === undefined ? null : readCertificate(accountId, certificate, proof);
  const { proven, ...content } = read ?? { ...known, proven: isProven(accountId, known.certificate, proof) };
  const replaced = content.fingerprint !== known.fingerprint;
  if (
    known.developer &&
    (replaced || facts.enrollmentMode || (facts.service ?? known.service) !== known.service)
  )
    throw new ServiceError(
      "bad_request",
      "Neither the certificate nor the service of a developer certificate can be changed, and its devices cannot be claimed.",
    );
  const now = new Date(ctx.clock.now());
  const provenAt = proven ? now : replaced ? null : known.provenAt;
  if (!known.developer && !(facts.enrollmentMode ?? known.enrollmentMode) && !provenAt)
    throw unproven(accountId);
  const { fingerprint, subject, issuer, notBefore, notAfter } = content;
  const changes = {
    ...given(facts),
    ...(replaced && {
      certificate: Uint8Array.from(content.certificate),
      fingerprint,
      subject,
      issuer,
      notBefore,
      notAfter,
    }),
  };
  const fields = Object.entries(changes).flatMap(([field, value]) =>
    value === undefined || !(field in words) || value === known[field as keyof typeof words]
      ? []
      : [words[field as keyof typeof words]],
  );
  const name = facts.name ?? known.name;
  await named(name, () =>
    transaction(ctx, async (tx, tell) => {
      const { count } = await tx.trustedCertificate.updateMany({
        where: { id, accountId },
        // Of two accounts whose certificates a chain rests on, the one that was first has the device.
        data: { ...changes, provenAt, ...(replaced && { createdAt: now }), updatedAt: now },
      });
      if (count === 0) throw notFound("Certificate");
      if (replaced && (await tx.trustedCertificate.count({ where: { accountId, subject } })) > 1)
        throw taken(subject);
      await checkShared(tx, id);
      if (fields.length === 0) return;
      await auditChange(ctx, tx, {
        action: "trusted-certificate.updated",
        objectType: "trusted-certificate",
        objectId: id,
        before: picked(known),
        after: picked({ ...known, ...changes }),
      });
      const switched = facts.status !== undefined && facts.status !== known.status;
      const data = { certificateId: id, name, fields, ...(switched && { status: facts.status }) };
      tell(await recordEvent(ctx, tx, "certificate.updated", { accountId, deviceId: null, data }));
    }),
  );
  await tellGateway(ctx, "trust.reload", {});
}

const words = {
  name: "the name",
  description: "the description",
  fingerprint: "the certificate",
  service: "the service",
  status: "the status",
  enrollmentMode: "whose its devices are",
} as const;

/**
 * A CA that accounts have proven to hold is theirs; who has not may leave it to its list of enrollment identities whose a
 * device is, as long as nobody has: else anybody could trust the CA of somebody else and get its devices.
 */
async function checkShared(tx: Transaction, id: string): Promise<void> {
  const { accountId, certificate, subject, service, enrollmentMode } =
    await tx.trustedCertificate.findUniqueOrThrow({
      where: { id },
      select: { accountId: true, certificate: true, subject: true, service: true, enrollmentMode: true },
    });
  if (enrollmentMode && service !== "bootstrap")
    throw invalid("enrollmentMode", "is for the bootstrap service only");
  const others = await tx.trustedCertificate.findMany({
    where: { subject, accountId: { not: accountId }, enrollmentMode: false },
    select: { certificate: true, service: true },
  });
  // Anybody can write another certificate around the name and the key of a CA, and what it signed rests on that as well.
  const authority = authorityOf(certificate);
  const stands = others.filter((other) => authorityOf(other.certificate) === authority);
  if (enrollmentMode && stands.length > 0)
    throw new ServiceError(
      "conflict",
      "Another account of this instance trusts this certificate for itself.",
    );
  // Devices that register directly do not say whose they are before they are let in.
  if (stands.some((other) => service === "lwm2m" || other.service === "lwm2m"))
    throw new ServiceError(
      "conflict",
      "Another account of this instance trusts this certificate, and one of the two for the LwM2M service, which one account alone can.",
    );
}

/** What the audit log tells of a certificate. */
const picked = ({
  name,
  description,
  fingerprint,
  subject,
  service,
  status,
  enrollmentMode,
}: AuditedFields) => ({
  name,
  description,
  fingerprint,
  subject,
  service,
  status,
  enrollmentMode,
});
type AuditedFields = Record<
  "name" | "description" | "fingerprint" | "subject" | "service" | "status",
  string | undefined
> & { enrollmentMode?: boolean | undefined };

/** Reads the first certificate of a PEM; says in words why it cannot be trusted. */
function readCertificate(accountId: string, text: string, proof: string | undefined) {
  const chain = [
    ...text.matchAll(/-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\s]+)-----END CERTIFICATE-----/g),
  ].map(([, body = ""]) => Buffer.from(body, "base64"));
  const [der] = chain;
  if (!der) throw invalid("certificate", "is no PEM certificate");
  let facts: ReturnType<typeof parseCertificate>;
  let certificates: X509Certificate[];
  try {
    facts = parseCertificate(der);
    certificates = chain.map((one) => new X509Certificate(one));
  } catch (error) {
    throw invalid("certificate", `cannot be read: ${(error as Error).message}`);
  }
  if (!facts.isCa) throw invalid("certificate", "is not the certificate of a CA");
  return {
    proven: isProven(accountId, der, proof) || isIssuedFor(accountId, certificates),
    certificate: Uint8Array.from(der),
    fingerprint: fingerprint(der),
    subject: facts.subjectText,
    issuer: facts.issuer,
    notBefore: facts.notBefore,
    notAfter: facts.notAfter,
  };
}

/** Whether a signature of the account's id by the key of the certificate was given; throws when it is of another key. */
function isProven(accountId: string, der: Uint8Array, proof: string | undefined): boolean {
  if (!proof) return false;
  let holds = false;
  try {
    const { publicKey } = new X509Certificate(der);
    holds = verify("sha256", Buffer.from(accountId), publicKey, Buffer.from(proof, "base64"));
  } catch {
    // A key that signs otherwise.
  }
  if (!holds) throw invalid("signature", "is not one of the account's id by the key of the certificate");
  return true;
}

/** Whether a chain from the CA down ends with a certificate that was made for the account: its common name is its id. */
function isIssuedFor(accountId: string, certificates: readonly X509Certificate[]): boolean {
  const leaf = certificates.at(-1);
  if (certificates.length < 2 || !leaf) return false;
  const linked = certificates.every((one, n) => {
    const issuer = certificates[n - 1];
    return n === 0 || (issuer?.ca && one.checkIssued(issuer) && one.verify(issuer.publicKey));
  });
  return linked && parseCertificate(leaf.raw).subject.cn === accountId;
}

/** What somebody has to do who has not proven to hold the key of a CA. */
const unproven = (accountId: string) =>
  invalid(
    "signature",
    `is needed, to show that the key of the CA is yours: the Base64 of a SHA-256 signature of the account's id ` +
      `(printf %s ${accountId} | openssl dgst -sha256 -sign ca.key | base64 -w0). A chain from the CA to a certificate ` +
      `that it issued with the common name ${accountId} does as well. Without it, enrollment_mode has to be true`,
  );

const invalid = (name: string, message: string) =>
  new ServiceError("validation_error", `${name}: ${message}`, [{ name, message }]);

const taken = (subject: string) =>
  new ServiceError("conflict", `There is a trusted certificate with the subject “${subject}” already.`);

async function named<T>(name: string, run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (error) {
    if (!isUniqueViolation(error)) throw error;
    throw new ServiceError(
      "conflict",
      `There is a certificate named “${name}”, or the same certificate, already.`,
    );
  }
}
