import { findRenewal, renewalFilters, searchRenewals } from "@/server/services/renewals/search";
import { startRenewal } from "@/server/services/renewals/start";
import type { Renewal } from "@/server/services/renewals/view";
import { errorSchema } from "../errors";
import { operation } from "../operation";
import { list, pageOf, pageQuery } from "../paging";
import { iso } from "../serialize";
import { dateTime, id, listOf, z } from "../zod";

const tag = "Certificate enrollments";

const response = z
  .object({
    object: z.literal("certificate-enrollment"),
    id,
    device_id: id,
    certificate_name: z.string(),
    enroll_status: z.enum(["new", "completed"]),
    enroll_result: z.enum(["success", "failure"]).nullable(),
    enroll_result_detail: z.string().nullable(),
    created_at: dateTime,
    updated_at: dateTime,
    etag: z.string(),
  })
  .openapi("CertificateEnrollment");

const serialize = (row: Renewal): z.input<typeof response> => ({
  object: "certificate-enrollment",
  id: row.id,
  device_id: row.deviceId,
  certificate_name: row.certificateName,
  enroll_status: row.status,
  enroll_result: row.result,
  enroll_result_detail: row.detail,
  created_at: iso(row.createdAt),
  updated_at: iso(row.updatedAt),
  etag: String(row.updatedAt.getTime()),
});

export const certificateEnrollments = [
  operation({
    method: "post",
    path: "/v3/devices/{id}/certificates/{certificate_name}/renew",
    tag,
    scope: "credentials",
    summary: "Ask a device to renew its certificate",
    params: z.object({ id, certificate_name: z.string().openapi({ example: "LWM2M" }) }),
    status: 201,
    response,
    replies: {
      409: { description: "A renewal is under way already.", schema: errorSchema },
      423: { description: "The device is not registered, or cannot renew.", schema: errorSchema },
    },
    handle: async ({ ctx, params }) => {
      const { id: deviceId, certificate_name: certificateName } = params;
      return serialize(await startRenewal(ctx, { deviceId, certificateName }));
    },
  }),
  operation({
    method: "get",
    path: "/v3/certificate-enrollments",
    tag,
    scope: "read",
    summary: "List renewals of certificates",
    query: pageQuery,
    filters: renewalFilters,
    status: 200,
    response: listOf("CertificateEnrollmentList", response),
    handle: async ({ ctx, query, filters }) =>
      list(query, await searchRenewals(ctx, pageOf(query, filters)), serialize),
  }),
  operation({
    method: "get",
    path: "/v3/certificate-enrollments/{certificate_enrollment_id}",
    tag,
    scope: "read",
    summary: "Get a renewal of a certificate",
    params: z.object({ certificate_enrollment_id: id }),
    status: 200,
    response,
    handle: async ({ ctx, params }) =>
      serialize(await findRenewal(ctx, { id: params.certificate_enrollment_id })),
  }),
];
