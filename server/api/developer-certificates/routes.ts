import { createDeveloperCertificate } from "@/server/services/certificates/create-developer";
import {
  type DeveloperCredentials,
  getDeveloperCredentials,
} from "@/server/services/certificates/developer-credentials";
import { deviceUris } from "@/server/services/instance/uris";
import { type Call, operation } from "../operation";
import { iso } from "../serialize";
import { dateTime, id, name, text, z } from "../zod";

const tag = "Developer certificates";

const body = z.object({ name: name(100), description: text(500) }).openapi("DeveloperCertificateCreate");

const response = z
  .object({
    object: z.literal("trusted-cert"),
    id,
    account_id: id,
    name: z.string(),
    description: z.string(),
    developer_certificate: z.string(),
    developer_private_key: z.string().optional().openapi({
      description: "Only of certificates made through this API: the portal hands out each key once.",
    }),
    security_file_content: z
      .string()
      .optional()
      .openapi({ description: "Content of mbed_cloud_dev_credentials.c." }),
    created_at: dateTime,
    etag: z.string(),
  })
  .openapi("DeveloperCertificate");

function serialize(row: DeveloperCredentials): z.input<typeof response> {
  return {
    object: "trusted-cert",
    id: row.id,
    account_id: row.accountId,
    name: row.name,
    description: row.description,
    developer_certificate: row.certificate,
    ...(row.secret && {
      developer_private_key: row.secret.privateKey,
      security_file_content: row.secret.c,
    }),
    created_at: iso(row.createdAt),
    etag: "1",
  };
}

async function credentials({ ctx, config }: Call<unknown, unknown, unknown>, certificateId: string) {
  const { bootstrap } = await deviceUris(ctx, config);
  return serialize(await getDeveloperCredentials(ctx, { id: certificateId, bootstrapUri: bootstrap }));
}

export const developerCertificates = [
  operation({
    method: "post",
    path: "/v3/developer-certificates",
    tag,
    scope: "credentials",
    summary: "Make a developer certificate",
    body,
    status: 201,
    response,
    handle: async (call) => {
      const { name, description } = call.body;
      const made = await createDeveloperCertificate(call.ctx, {
        name,
        description: description ?? "",
        keepKey: true,
      });
      return credentials(call, made.id);
    },
  }),
  operation({
    method: "get",
    path: "/v3/developer-certificates/{certificate_id}",
    tag,
    scope: "credentials",
    summary: "Get a developer certificate",
    params: z.object({ certificate_id: id }),
    status: 200,
    response,
    handle: (call) => credentials(call, call.params.certificate_id),
  }),
];
