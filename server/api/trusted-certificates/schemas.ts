import { dateTime, id, listOf, name, text, z } from "../zod";

const service = z.enum(["lwm2m", "bootstrap"]);
const status = z.enum(["ACTIVE", "INACTIVE"]);
const pem = z.string().min(1, "is needed").max(65_536, "may have at most 65536 characters");

const enrollmentMode =
  "A device of this CA belongs to the account that has its enrollment identity on its list; several accounts may trust it.";

export const certificateResponse = z
  .object({
    object: z.literal("trusted-cert"),
    id,
    account_id: id,
    owner_id: id.nullable(),
    name: z.string(),
    description: z.string(),
    certificate: z.string(),
    certificate_fingerprint: z.string(),
    subject: z.string(),
    issuer: z.string(),
    validity: dateTime,
    valid: z.boolean(),
    service,
    status,
    device_execution_mode: z.int(),
    enrollment_mode: z.boolean().openapi({ description: enrollmentMode }),
    created_at: dateTime,
    updated_at: dateTime,
    etag: z.string(),
  })
  .openapi("TrustedCertificate");

export const certificateList = listOf("TrustedCertificateList", certificateResponse);

export const createCertificateBody = z
  .object({
    name: name(100),
    certificate: pem,
    service,
    description: text(500),
    status: status.nullish(),
    signature: text(4096),
    enrollment_mode: z.boolean().nullish().openapi({ description: enrollmentMode }),
  })
  .openapi("TrustedCertificateCreate");

export const updateCertificateBody = z
  .object({
    name: name(100).nullish(),
    certificate: pem.nullish(),
    service: service.nullish(),
    description: text(500),
    status: status.nullish(),
    signature: text(4096),
    enrollment_mode: z.boolean().nullish().openapi({ description: enrollmentMode }),
  })
  .openapi("TrustedCertificateUpdate");
