import { createEnrollment } from "@/server/services/enrollments/create";
import { type Denial, denialFilters, findDenial, searchDenials } from "@/server/services/enrollments/denials";
import {
  createEnrollmentJob,
  type EnrollmentJobKind,
  type EnrollmentJobView,
  findEnrollmentJob,
  getEnrollmentReport,
  MAX_LIST_BYTES,
} from "@/server/services/enrollments/jobs";
import { removeEnrollment } from "@/server/services/enrollments/remove";
import { type EnrollmentView, findEnrollment, searchEnrollments } from "@/server/services/enrollments/search";
import { failure } from "../errors";
import { type Call, operation, Reply } from "../operation";
import { list, pageOf, pageQuery } from "../paging";
import { iso, isoOrNull } from "../serialize";
import { id, z } from "../zod";
import { formField } from "./multipart";
import {
  createEnrollmentBody,
  denialList,
  denialResponse,
  enrollmentList,
  enrollmentResponse,
  jobResponse,
} from "./schemas";

const tag = "Device enrollments";
const params = z.object({ enrollment_id: id });

const serialize = (row: EnrollmentView): z.input<typeof enrollmentResponse> => ({
  object: "enrollment",
  id: row.id,
  account_id: row.accountId,
  enrollment_identity: row.identity,
  claimed_at: isoOrNull(row.claimedAt),
  enrolled_device_id: row.deviceId,
  created_at: iso(row.createdAt),
  expires_at: iso(row.expiresAt),
  etag: row.claimedAt ? "2" : "1",
});

const serializeDenial = (row: Denial): z.input<typeof denialResponse> => ({
  object: "denied_device",
  id: row.id,
  account_id: row.accountId,
  endpoint_name: row.endpointName,
  trusted_certificate_id: row.trustedCertificateId,
  created_at: iso(row.at),
});

const KINDS = {
  upload: {
    path: "/v3/device-enrollments-bulk-uploads",
    param: "upload_id",
    what: "Claim devices by a list",
  },
  delete: {
    path: "/v3/device-enrollments-bulk-deletes",
    param: "delete_id",
    what: "Give up claims by a list",
  },
} as const;

const REPORTS = { full: "full-report", errors: "errors-report" } as const;

/** Beside the list itself: the boundary, and the headers of its part. */
const FORM_BYTES = 65_536;

/** The address that the client found this server at. */
function origin({ raw, config }: Call<unknown, unknown, unknown>): string {
  const host = raw.header("host") ?? "";
  const scheme = raw.header("x-forwarded-proto") === "https" ? "https" : "http";
  return `${scheme}://${/^[\w.:[\]-]{1,255}$/.test(host) ? host : `${config.publicHost}:${config.portalPort}`}`;
}

function serializeJob(
  call: Call<unknown, unknown, unknown>,
  kind: EnrollmentJobKind,
  row: EnrollmentJobView,
): z.input<typeof jobResponse> {
  const report = (which: keyof typeof REPORTS) =>
    row.status === "completed" ? `${origin(call)}${KINDS[kind].path}/${row.id}/${REPORTS[which]}` : null;
  return {
    object: "enrollment-identity-bulk-uploads",
    id: row.id,
    account_id: row.accountId,
    status: row.status,
    total_count: row.total,
    processed_count: row.processed,
    errors_count: row.errors,
    full_report_file: report("full"),
    errors_report_file: report("errors"),
    created_at: iso(row.createdAt),
    completed_at: isoOrNull(row.completedAt),
    etag: String(row.processed),
  };
}

const bulk = (kind: EnrollmentJobKind) => {
  const { path, param, what } = KINDS[kind];
  const params = z.object({ [param]: id });
  const idOf = (given: Record<string, string>) => given[param] as string;
  return [
    operation({
      method: "post",
      path,
      tag,
      scope: "manage",
      summary: `${what}: CSV in the field \`enrollment_identities\``,
      rawBody: { contentTypes: ["multipart/form-data"], required: true },
      maxBody: MAX_LIST_BYTES + FORM_BYTES,
      status: 201,
      response: jobResponse,
      handle: async (call) => {
        const { body, contentType } = call.raw;
        const content = await formField(body, contentType, "enrollment_identities");
        return serializeJob(call, kind, await createEnrollmentJob(call.ctx, { kind, list: content }));
      },
    }),
    operation({
      method: "get",
      path: `${path}/{${param}}`,
      tag,
      scope: "read",
      summary: "Get how far a list is gone through",
      params,
      status: 200,
      response: jobResponse,
      handle: async (call) =>
        serializeJob(call, kind, await findEnrollmentJob(call.ctx, { kind, id: idOf(call.params) })),
    }),
    ...(["full", "errors"] as const).map((report) =>
      operation({
        method: "get",
        path: `${path}/{${param}}/${REPORTS[report]}`,
        tag,
        scope: "read",
        summary:
          report === "full" ? "Get what became of each identity" : "Get the identities that did not work",
        params,
        status: 200,
        replies: { 200: { description: "The report, CSV.", contentType: "text/csv" } },
        handle: async ({ ctx, params }) => {
          const csv = await getEnrollmentReport(ctx, { kind, id: idOf(params), report });
          if (!csv) throw failure(404, "report_not_found", "The list is not gone through yet.");
          return new Reply(200, csv, {
            "Content-Type": "text/csv; charset=utf-8",
            "Content-Disposition": `attachment; filename="${REPORTS[report]}.csv"`,
          });
        },
      }),
    ),
  ];
};

export const deviceEnrollments = [
  operation({
    method: "get",
    path: "/v3/device-enrollments",
    tag,
    scope: "read",
    summary: "List the devices that the account claims",
    query: pageQuery,
    status: 200,
    response: enrollmentList,
    handle: async ({ ctx, query }) =>
      list(query, await searchEnrollments(ctx, pageOf(query, [], true)), serialize),
  }),
  operation({
    method: "post",
    path: "/v3/device-enrollments",
    tag,
    scope: "manage",
    summary: "Claim a device",
    body: createEnrollmentBody,
    status: 201,
    response: enrollmentResponse,
    handle: async ({ ctx, body }) =>
      serialize(await createEnrollment(ctx, { enrollmentIdentity: body.enrollment_identity })),
  }),
  operation({
    method: "get",
    path: "/v3/device-enrollments/{enrollment_id}",
    tag,
    scope: "read",
    summary: "Get the claim on a device",
    params,
    status: 200,
    response: enrollmentResponse,
    handle: async ({ ctx, params }) => serialize(await findEnrollment(ctx, { id: params.enrollment_id })),
  }),
  operation({
    method: "delete",
    path: "/v3/device-enrollments/{enrollment_id}",
    tag,
    scope: "manage",
    summary: "Give up the claim on a device",
    params,
    status: 204,
    handle: ({ ctx, params }) => removeEnrollment(ctx, { id: params.enrollment_id }),
  }),
  ...bulk("upload"),
  ...bulk("delete"),
  operation({
    method: "get",
    path: "/v3/device-enrollment-denials",
    tag,
    scope: "read",
    summary: "List devices that were turned away (`trusted_certificate_id__eq` is needed)",
    query: pageQuery,
    filters: denialFilters,
    status: 200,
    response: denialList,
    handle: async ({ ctx, query, filters }) =>
      list(query, await searchDenials(ctx, pageOf(query, filters)), serializeDenial),
  }),
  operation({
    method: "get",
    path: "/v3/device-enrollment-denials/{device_enrollment_denial_id}",
    tag,
    scope: "read",
    summary: "Get a device that was turned away",
    params: z.object({ device_enrollment_denial_id: id }),
    status: 200,
    response: denialResponse,
    handle: async ({ ctx, params }) =>
      serializeDenial(await findDenial(ctx, { id: params.device_enrollment_denial_id })),
  }),
];
