import { NO_IDENTITY } from "@/server/services/enrollments/identity";
import { dateTime, id, listOf, z } from "../zod";

const identity = z.string().openapi({
  description: `The enrollment identity ${NO_IDENTITY}.`,
  pattern: "^A-[A-Za-z0-9:]{95}$",
});

export const enrollmentResponse = z
  .object({
    object: z.literal("enrollment"),
    id,
    account_id: id,
    enrollment_identity: identity,
    claimed_at: dateTime.nullable(),
    enrolled_device_id: id.nullable(),
    created_at: dateTime,
    expires_at: dateTime.openapi({ description: "Until when the device may come for the first time." }),
    etag: z.string(),
  })
  .openapi("Enrollment");

export const enrollmentList = listOf("EnrollmentList", enrollmentResponse);

export const createEnrollmentBody = z.object({ enrollment_identity: identity }).openapi("EnrollmentCreate");

export const jobResponse = z
  .object({
    object: z.literal("enrollment-identity-bulk-uploads"),
    id,
    account_id: id,
    status: z.enum(["new", "processing", "completed"]),
    total_count: z.int(),
    processed_count: z.int(),
    errors_count: z.int(),
    full_report_file: z.string().nullable(),
    errors_report_file: z.string().nullable(),
    created_at: dateTime,
    completed_at: dateTime.nullable(),
    etag: z.string(),
  })
  .openapi("EnrollmentBulk");

export const denialResponse = z
  .object({
    object: z.literal("denied_device"),
    id,
    account_id: id,
    endpoint_name: z.string(),
    trusted_certificate_id: id,
    created_at: dateTime,
  })
  .openapi("EnrollmentDenial");

export const denialList = listOf("EnrollmentDenialList", denialResponse);
