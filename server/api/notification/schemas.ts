import type { Serialization } from "@/server/services/channels/types";
import { id, z } from "../zod";

/** Clients write booleans as texts, too. */
const flag = z
  .union([
    z.boolean(),
    z
      .string()
      .trim()
      .toLowerCase()
      .pipe(z.enum(["true", "false"], "must be true or false"))
      .transform((text) => text === "true"),
  ])
  .nullish()
  .openapi({ type: "boolean", default: false });

const chunkSize = z
  .union([
    z.number(),
    z
      .string()
      .trim()
      .regex(/^\d{1,9}$/, "must be a whole number")
      .transform(Number),
  ])
  .pipe(z.int().min(100, "must be at least 100").max(10_000, "may be at most 10000"))
  .nullish()
  .openapi({ type: "integer", minimum: 100, maximum: 10_000, default: 10_000 });

/** How messages are to look; what is left out is off. */
export const serializationBody = z
  .object({
    type: z.literal("v2", "must be v2").nullish(),
    max_chunk_size: chunkSize,
    cfg: z
      .object({
        deregistrations_as_object: flag,
        include_uid: flag,
        include_timestamp: flag,
        include_original_ep: flag,
      })
      .nullish(),
  })
  .nullish()
  .openapi("Serialization");

export const toSerialization = (body: z.output<typeof serializationBody>): Partial<Serialization> => ({
  ...(body?.max_chunk_size && { maxChunkSize: body.max_chunk_size }),
  includeUid: body?.cfg?.include_uid ?? false,
  includeTimestamp: body?.cfg?.include_timestamp ?? false,
  includeOriginalEp: body?.cfg?.include_original_ep ?? false,
  deregistrationsAsObject: body?.cfg?.deregistrations_as_object ?? false,
});

const serializationResponse = z
  .object({
    type: z.literal("v2"),
    max_chunk_size: z.int(),
    cfg: z.object({
      deregistrations_as_object: z.boolean(),
      include_uid: z.boolean(),
      include_timestamp: z.boolean(),
      include_original_ep: z.boolean(),
    }),
  })
  .openapi("SerializationInUse");

export const serializeSerialization = (look: Serialization): z.input<typeof serializationResponse> => ({
  type: "v2",
  max_chunk_size: look.maxChunkSize,
  cfg: {
    deregistrations_as_object: look.deregistrationsAsObject,
    include_uid: look.includeUid,
    include_timestamp: look.includeTimestamp,
    include_original_ep: look.includeOriginalEp,
  },
});

export const callbackBody = z
  .object({
    url: z.string().max(2000).openapi({ example: "https://hooks.example.com/gangway" }),
    headers: z.record(z.string(), z.string()).nullish(),
    serialization: serializationBody,
  })
  .openapi("CallbackRegistration");

export const callbackResponse = z
  .object({
    url: z.string(),
    headers: z.record(z.string(), z.string()),
    serialization: serializationResponse,
    signing_secret: z.string().openapi({
      description: "Signs every delivery, in the form of Standard Webhooks.",
      example: "whsec_…",
    }),
  })
  .openapi("Callback");

export const websocketBody = z.object({ serialization: serializationBody }).openapi("WebSocketRegistration");

export const websocketResponse = z
  .object({
    status: z.enum(["connected", "disconnected"]),
    queue_size: z.int(),
    serialization: serializationResponse,
  })
  .openapi("WebSocketChannel");

export const channelResponse = z
  .object({ delivery_mechanism: z.enum(["CALLBACK", "LONG_POLLING", "WEB_SOCKET"]) })
  .openapi("NotificationChannel");

const stamp = {
  uid: z.string().optional(),
  timestamp: z.int().optional().openapi({ description: "Milliseconds since 1970." }),
};

const registration = z
  .object({
    ep: id.openapi({ description: "The ID of the device." }),
    "original-ep": z.string().openapi({ description: "The endpoint name of the device." }),
    ept: z.string(),
    q: z.boolean(),
    resources: z.array(
      z.object({
        path: z.string(),
        if: z.string().optional(),
        rt: z.string().optional(),
        ct: z.string().optional(),
        obs: z.boolean(),
      }),
    ),
    ...stamp,
  })
  .openapi("RegistrationNotification");

const deregistration = z
  .union([id, z.object({ ep: id, "original-ep": z.string().optional(), ...stamp })])
  .openapi("DeregistrationNotification");

export const notificationMessage = z
  .object({
    registrations: z.array(registration).optional(),
    "reg-updates": z.array(registration).optional(),
    "de-registrations": z.array(deregistration).optional(),
    "registrations-expired": z.array(deregistration).optional(),
    notifications: z
      .array(
        z.object({
          ep: id,
          "original-ep": z.string().optional(),
          path: z.string(),
          ct: z.string(),
          payload: z.string().openapi({ description: "Base64." }),
          "max-age": z.int(),
          ...stamp,
        }),
      )
      .optional(),
    "async-responses": z
      .array(
        z.object({
          id: z.string().openapi({
            description:
              "Of the request; when a device ends a subscription, the address of that: device ID and path.",
          }),
          status: z.int(),
          payload: z.string().openapi({ description: "Base64; empty where there is none." }),
          ct: z.string().optional(),
          "max-age": z.int().optional(),
          error: z.string().optional(),
        }),
      )
      .optional(),
  })
  .openapi("NotificationMessage");
