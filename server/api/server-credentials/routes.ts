import { getServerCredentials, type ServerCredentials } from "@/server/services/server-credentials/get";
import { operation } from "../operation";
import { iso } from "../serialize";
import { dateTime, id, z } from "../zod";

const tag = "Server credentials";

const short = z.object({ url: z.string(), certificate: z.string() });

const both = z.object({ bootstrap: short, lwm2m: short }).openapi("AllServerCredentials");

const one = z
  .object({
    object: z.literal("server-credentials"),
    id,
    server_uri: z.string().openapi({ example: "coaps://devices.example.com:5684?aid=…" }),
    server_certificate: z.string().openapi({ description: "PEM of the CA." }),
    created_at: dateTime,
    etag: z.string(),
  })
  .openapi("ServerCredentials");

const brief = ({ uri, certificate }: ServerCredentials): z.input<typeof short> => ({ url: uri, certificate });

const serialize = (row: ServerCredentials): z.input<typeof one> => ({
  object: "server-credentials",
  id: row.id,
  server_uri: row.uri,
  server_certificate: row.certificate,
  created_at: iso(row.createdAt),
  etag: "1",
});

export const serverCredentials = [
  operation({
    method: "get",
    path: "/v3/server-credentials",
    tag,
    scope: "read",
    summary: "Get the addresses of both services and the CA to know them by",
    status: 200,
    response: both,
    handle: async ({ ctx, config }) => {
      const { bootstrap, lwm2m } = await getServerCredentials(ctx, config);
      return { bootstrap: brief(bootstrap), lwm2m: brief(lwm2m) };
    },
  }),
  ...(["bootstrap", "lwm2m"] as const).map((service) =>
    operation({
      method: "get",
      path: `/v3/server-credentials/${service}`,
      tag,
      scope: "read",
      summary: `Get the address of the ${service === "bootstrap" ? "bootstrap" : "LwM2M"} service and its CA`,
      status: 200,
      response: one,
      handle: async ({ ctx, config }) => serialize((await getServerCredentials(ctx, config))[service]),
    }),
  ),
];
