import { toPem } from "@/server/pki";
import { removeCertificate } from "@/server/services/certificates/remove";
import {
  certificateFilters,
  findCertificate,
  searchCertificates,
  type TrustedCertificate,
} from "@/server/services/certificates/search";
import { updateCertificate, uploadCertificate } from "@/server/services/certificates/upload";
import type { Context } from "@/server/services/context";
import type { Filter } from "@/server/services/filter";
import { operation } from "../operation";
import { list, pageOf, pageQuery } from "../paging";
import { iso } from "../serialize";
import { id, z } from "../zod";
import {
  certificateList,
  certificateResponse,
  createCertificateBody,
  updateCertificateBody,
} from "./schemas";

const tag = "Trusted certificates";
const params = z.object({ cert_id: id });

const serialize =
  (ctx: Context) =>
  (row: TrustedCertificate): z.input<typeof certificateResponse> => {
    const now = ctx.clock.now();
    return {
      object: "trusted-cert",
      id: row.id,
      account_id: row.accountId,
      owner_id: null,
      name: row.name,
      description: row.description,
      certificate: toPem(row.certificate, "CERTIFICATE"),
      certificate_fingerprint: row.fingerprint,
      subject: row.subject,
      issuer: row.issuer,
      validity: iso(row.notAfter),
      valid: row.notBefore.getTime() <= now && row.notAfter.getTime() >= now,
      service: row.service,
      status: row.status,
      device_execution_mode: row.developer ? 1 : 0,
      enrollment_mode: row.enrollmentMode,
      created_at: iso(row.createdAt),
      updated_at: iso(row.updatedAt),
      etag: String(row.updatedAt.getTime()),
    };
  };

/** Without what was not given: null means that too. */
const given = <T extends object>(fields: T) =>
  Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== null && value !== undefined)) as {
    [K in keyof T]?: NonNullable<T[K]>;
  };

/** SDKs that ask for developer certificates alone (`__eq=1`) send what leaves them out (`__neq=1`) along. */
function unambiguous(filters: Filter[]): Filter[] {
  const mode = ({ field }: Filter) => field === "device_execution_mode";
  const asked = filters.some((filter) => mode(filter) && filter.operator === "eq");
  return filters.filter((filter) => !(asked && mode(filter) && filter.operator === "neq"));
}

export const trustedCertificates = [
  operation({
    method: "get",
    path: "/v3/trusted-certificates",
    tag,
    scope: "read",
    summary: "List trusted certificates, developer certificates included",
    query: pageQuery,
    filters: certificateFilters(0),
    status: 200,
    response: certificateList,
    handle: async ({ ctx, query, filters }) =>
      list(query, await searchCertificates(ctx, pageOf(query, unambiguous(filters), true)), serialize(ctx)),
  }),
  operation({
    method: "post",
    path: "/v3/trusted-certificates",
    tag,
    scope: "credentials",
    summary: "Trust a CA",
    body: createCertificateBody,
    status: 201,
    response: certificateResponse,
    handle: async ({ ctx, body: { name, certificate, service, enrollment_mode, ...rest } }) => {
      const { id } = await uploadCertificate(ctx, {
        name,
        certificate,
        service,
        ...given({ ...rest, enrollmentMode: enrollment_mode }),
      });
      return serialize(ctx)(await findCertificate(ctx, { id }));
    },
  }),
  operation({
    method: "get",
    path: "/v3/trusted-certificates/{cert_id}",
    tag,
    scope: "read",
    summary: "Get a trusted certificate",
    params,
    status: 200,
    response: certificateResponse,
    handle: async ({ ctx, params }) => serialize(ctx)(await findCertificate(ctx, { id: params.cert_id })),
  }),
  operation({
    method: "put",
    path: "/v3/trusted-certificates/{cert_id}",
    tag,
    scope: "credentials",
    summary: "Change a trusted certificate, or switch it off and on",
    params,
    body: updateCertificateBody,
    status: 200,
    response: certificateResponse,
    handle: async ({ ctx, params, body }) => {
      const { enrollment_mode, ...rest } = body;
      const changes = given({ ...rest, enrollmentMode: enrollment_mode });
      if (Object.keys(changes).length > 0) await updateCertificate(ctx, { id: params.cert_id, ...changes });
      return serialize(ctx)(await findCertificate(ctx, { id: params.cert_id }));
    },
  }),
  operation({
    method: "delete",
    path: "/v3/trusted-certificates/{cert_id}",
    tag,
    scope: "credentials",
    summary: "Stop trusting a certificate",
    params,
    status: 204,
    handle: async ({ ctx, params }) => void (await removeCertificate(ctx, { id: params.cert_id })),
  }),
];
