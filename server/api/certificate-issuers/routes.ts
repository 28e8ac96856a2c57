import {
  findIssuerConfiguration,
  getIssuerConfiguration,
  type IssuerConfiguration,
  setIssuer,
} from "@/server/services/certificate-issuers/configuration";
import { operation } from "../operation";
import { list, pageQuery } from "../paging";
import { iso } from "../serialize";
import { dateTime, id, listOf, z } from "../zod";

const tag = "Certificate issuers";
const params = z.object({ certificate_issuer_configuration_id: id });

const issuer = z
  .object({
    object: z.literal("certificate-issuer"),
    id,
    issuer_type: z.enum(["GLOBAL_SIGN", "CFSSL_AUTH"]),
    name: z.string(),
    created_at: dateTime,
    etag: z.string(),
  })
  .openapi("CertificateIssuer");

const configuration = z
  .object({
    object: z.literal("certificate-issuer-configuration"),
    id,
    reference: z.string(),
    certificate_issuer_id: id.nullable().openapi({ description: "Null: the instance's own CA." }),
    is_custom: z.boolean(),
    created_at: dateTime,
    updated_at: dateTime,
    etag: z.string(),
  })
  .openapi("CertificateIssuerConfiguration");

const body = z
  .object({ certificate_issuer_id: id.nullable() })
  .openapi("CertificateIssuerConfigurationUpdate");

const serialize = (row: IssuerConfiguration): z.input<typeof configuration> => ({
  object: "certificate-issuer-configuration",
  id: row.id,
  reference: row.reference,
  certificate_issuer_id: null,
  is_custom: false,
  created_at: iso(row.createdAt),
  updated_at: iso(row.createdAt),
  etag: "1",
});

export const certificateIssuers = [
  operation({
    method: "get",
    path: "/v3/certificate-issuers",
    tag,
    scope: "read",
    summary: "List certificate issuers beside the instance's own CA: there are none",
    query: pageQuery,
    status: 200,
    response: listOf("CertificateIssuerList", issuer),
    handle: async ({ query }) => list(query, { rows: [] as never[], more: false, total: 0 }, (row) => row),
  }),
  operation({
    method: "get",
    path: "/v3/certificate-issuer-configurations",
    tag,
    scope: "read",
    summary: "List who issues which certificates",
    query: pageQuery.extend({ reference__eq: z.string().optional() }),
    status: 200,
    response: listOf("CertificateIssuerConfigurationList", configuration),
    handle: async ({ ctx, query: { reference__eq: wanted, ...query } }) => {
      const all = [await getIssuerConfiguration(ctx)];
      const rows = all.filter(({ reference }) => (wanted ?? reference) === reference);
      return list(query, { rows, more: false, total: rows.length }, serialize);
    },
  }),
  operation({
    method: "get",
    path: "/v3/certificate-issuer-configurations/lwm2m",
    tag,
    scope: "read",
    summary: "Get who issues LwM2M certificates",
    status: 200,
    response: configuration,
    handle: async ({ ctx }) => serialize(await getIssuerConfiguration(ctx)),
  }),
  operation({
    method: "put",
    path: "/v3/certificate-issuer-configurations/lwm2m",
    tag,
    scope: "credentials",
    summary: "Choose who issues LwM2M certificates: the instance's own CA (null)",
    body,
    status: 200,
    response: configuration,
    handle: async ({ ctx, body }) => {
      await setIssuer(ctx, { issuerId: body.certificate_issuer_id });
      return serialize(await getIssuerConfiguration(ctx));
    },
  }),
  operation({
    method: "get",
    path: "/v3/certificate-issuer-configurations/{certificate_issuer_configuration_id}",
    tag,
    scope: "read",
    summary: "Get who issues certificates of a kind",
    params,
    status: 200,
    response: configuration,
    handle: async ({ ctx, params }) =>
      serialize(await findIssuerConfiguration(ctx, { id: params.certificate_issuer_configuration_id })),
  }),
  operation({
    method: "put",
    path: "/v3/certificate-issuer-configurations/{certificate_issuer_configuration_id}",
    tag,
    scope: "credentials",
    summary: "Choose who issues certificates of a kind: the instance's own CA (null)",
    params,
    body,
    status: 200,
    response: configuration,
    handle: async ({ ctx, params, body }) => {
      const found = await findIssuerConfiguration(ctx, { id: params.certificate_issuer_configuration_id });
      await setIssuer(ctx, { issuerId: body.certificate_issuer_id });
      return serialize(found);
    },
  }),
];
