import { z } from "zod";

/** Every message between the two processes. One line of JSON each on the local socket. */

const id = z.string().regex(/^[0-9a-f]{32}$/);
const path = z.string().regex(/^(\/|(\/\d{1,5}){1,4})$/, "a LwM2M path such as /3/0/0");
const scope = { accountId: id, deviceId: id };
/** Who asked, as written into the timeline. */
const asked = { ...scope, actor: z.string().max(320).optional() };

/** A decoded resource value; integers beyond 2^53 travel as text, opaque as base64. */
export const resourceValue = z.discriminatedUnion("type", [
  z.object({ type: z.literal("string"), value: z.string() }),
  z.object({ type: z.literal("integer"), value: z.string() }),
  z.object({ type: z.literal("unsigned"), value: z.string() }),
  z.object({ type: z.literal("float"), value: z.number().nullable() }),
  z.object({ type: z.literal("boolean"), value: z.boolean() }),
  z.object({ type: z.literal("opaque"), value: z.string() }),
  z.object({ type: z.literal("time"), value: z.string() }),
  z.object({ type: z.literal("objlnk"), value: z.string() }),
]);
export type ResourceValue = z.infer<typeof resourceValue>;

/** A value at a path (three or four segments), with the time it was true at (ms since 1970). */
export const pathValue = z.object({ path: z.string(), value: resourceValue, at: z.number() });
export type PathValue = z.infer<typeof pathValue>;

/** How a device operation ended: the device's own code, or why there is none. */
export const operationResult = z.object({
  /** CoAP code of the device's answer, for instance "2.05"; null when there was no answer. */
  code: z.string().nullable(),
  ok: z.boolean(),
  /** One sentence for a person when not ok. */
  message: z.string(),
  values: z.array(pathValue),
});
export type OperationResult = z.infer<typeof operationResult>;

/** A request that an application sends to a device (Pelion's device requests). */
const deviceRequest = z.object({
  ...scope,
  /** The application or API key that gets the async response. */
  ownerId: id,
  asyncId: z.string().regex(/^[\w-]{1,40}$/),
  actor: z.string().max(320),
  method: z.enum(["GET", "PUT", "POST", "DELETE"]),
  /** Path, and query where there is one, as given: "/5/0/1?pmax=120". */
  uri: z.string().max(1024),
  /** Media types; null: the gateway chooses. */
  accept: z.string().nullable(),
  contentType: z.string().nullable(),
  /** Base64. */
  payload: z.string(),
  /** Null: 0, or 2 for a device in queue mode. */
  retry: z.int().min(0).max(10).nullable(),
  /** Null: 2 h, or 3 days for a device in queue mode. */
  expirySeconds: z.int().min(1).max(2_592_000).nullable(),
  /** Sent once without waiting for an answer, and nothing is told of it. */
  noResponse: z.boolean(),
});
export type DeviceRequestInput = z.infer<typeof deviceRequest>;

/** Why a request was not taken, in Pelion's words. */
export const requestRefusals = [
  "DEVICE_NOT_FOUND",
  "DEVICE_BLOCKED",
  /** Only of what is not queued. */
  "DEVICE_NOT_CONNECTED",
  "RESOURCE_NOT_FOUND",
  "QUEUE_IS_FULL",
  "NO_RESPONSE_NOT_SUPPORTED",
] as const;

export const gatewayRequests = {
  ping: {
    input: z.object({}),
    output: z.object({
      pid: z.number(),
      startedAt: z.number(),
      registrations: z.number(),
      peers: z.number(),
      listeners: z.array(z.object({ service: z.enum(["bootstrap", "lwm2m"]), uri: z.string() })),
      /** Why nothing can be stored now, and since when. */
      storageTrouble: z.object({ reason: z.string(), since: z.number() }).nullable(),
    }),
  },
  /** Trusted certificates changed: load them again; end the sessions that rest on one that is gone. */
  "trust.reload": { input: z.object({}), output: z.object({ trusted: z.number() }) },
  "device.read": { input: z.object({ ...asked, path }), output: operationResult },
  "device.write": { input: z.object({ ...asked, path, value: resourceValue }), output: operationResult },
  "device.execute": {
    input: z.object({ ...asked, path, args: z.string().max(1024) }),
    output: operationResult,
  },
  "device.observe": { input: z.object({ ...asked, path }), output: operationResult },
  "device.unobserve": { input: z.object({ ...asked, path }), output: operationResult },
  "device.rebootstrap": {
    input: z.object(asked),
    output: z.object({ way: z.enum(["execute", "refuse-registration"]), message: z.string() }),
  },
  /** Has the device make a new key and ask for a new LwM2M certificate (Pelion's /35011). */
  "device.renew": { input: z.object(asked), output: operationResult },
  /** Queues a request of an application; on disk when it is taken. */
  "device.request": {
    input: deviceRequest,
    output: z.object({ refused: z.enum(requestRefusals).nullable() }),
  },
  /** Subscribes an owner to a path; the first value comes as async response when the device has to be asked. */
  "subscription.put": {
    input: z.object({ ...asked, ownerId: id, path, asyncId: z.string().max(40) }),
    output: z.object({
      state: z.enum(["active", "pending"]).nullable(),
      refused: z.enum(requestRefusals).nullable(),
    }),
  },
  /** Ends subscriptions of an owner: of all devices (null), of one, or to one path of it. */
  "subscription.remove": {
    input: z.object({ accountId: id, ownerId: id, deviceId: id.nullable(), path: path.nullable() }),
    output: z.object({ removed: z.int() }),
  },
  /** What an owner is subscribed to now, pre-subscriptions included. */
  "subscription.list": {
    input: z.object({ accountId: id, ownerId: id, deviceId: id }),
    output: z.object({ paths: z.array(z.string()) }),
  },
  /** The channel or the pre-subscriptions of an owner changed, or the owner is gone: read them again. */
  "owner.reload": { input: z.object({ accountId: id, ownerId: id }), output: z.object({}) },
  /** A device was suspended or resumed: read its entry again and act on it. */
  "device.suspension": { input: z.object(asked), output: z.object({}) },
  /** The settings of an account changed. */
  "account.reload": { input: z.object({}), output: z.object({}) },
  /** A directory entry was made or changed by a person or an application: take up what it says. */
  "device.added": { input: z.object(scope), output: z.object({}) },
  /** The directory entry is gone: forget the registration and end its sessions. */
  "device.removed": { input: z.object(scope), output: z.object({}) },
} as const;

export type GatewayRequests = {
  [K in keyof typeof gatewayRequests]: {
    input: z.infer<(typeof gatewayRequests)[K]["input"]>;
    output: z.infer<(typeof gatewayRequests)[K]["output"]>;
  };
};
export type GatewayOp = keyof GatewayRequests;

/** What is told to everyone who listens; always scoped to one account (null: the operator only). */
export const busEvent = z.discriminatedUnion("kind", [
  /** A row of the device timeline was written. */
  z.object({
    kind: z.literal("event"),
    accountId: id.nullable(),
    deviceId: id.nullable(),
    event: z.object({
      id,
      type: z.string(),
      category: z.string(),
      outcome: z.enum(["SUCCESS", "FAIL", "SKIPPED", "INFO"]),
      description: z.string(),
      data: z.record(z.string(), z.unknown()),
      stateChange: z.boolean(),
      actor: z.string(),
      at: z.number(),
    }),
  }),
  /** The directory entry or registration changed: read it again. */
  z.object({
    kind: z.literal("device"),
    accountId: id,
    deviceId: id,
    change: z.enum(["created", "updated", "deleted"]),
  }),
  /** New values. */
  z.object({
    kind: z.literal("values"),
    accountId: id,
    deviceId: id,
    source: z.enum(["read", "notify", "write"]),
    values: z.array(pathValue),
  }),
  /** Something waits in the queue of an owner; sent to every process, whatever it watches. */
  z.object({ kind: z.literal("notifications"), accountId: id, deviceId: z.null(), ownerId: id }),
  /** The notification channel of an owner was made, changed or deleted, or its owner was; sent as widely. */
  z.object({ kind: z.literal("channel"), accountId: id, deviceId: z.null(), ownerId: id }),
  /** Which paths are observed changed. */
  z.object({ kind: z.literal("observations"), accountId: id, deviceId: id, paths: z.array(z.string()) }),
]);
export type BusEvent = z.infer<typeof busEvent>;

/** Whether an event goes to every process, whatever accounts it watches. */
export const isForEveryProcess = ({ kind }: BusEvent): boolean =>
  kind === "notifications" || kind === "channel";

/** Raised whenever a frame changes in a way that an older process would not understand. */
export const BUS_PROTOCOL = 1;

export const busFrame = z.discriminatedUnion("t", [
  /** The first line from either side. */
  z.object({ t: z.literal("hello"), protocol: z.number().int() }),
  z.object({ t: z.literal("req"), n: z.number().int(), op: z.string(), input: z.unknown() }),
  z.object({ t: z.literal("res"), n: z.number().int(), output: z.unknown() }),
  z.object({
    t: z.literal("err"),
    n: z.number().int(),
    code: z.string(),
    message: z.string(),
    fields: z.array(z.object({ name: z.string(), message: z.string() })).optional(),
  }),
  z.object({ t: z.literal("evt"), event: busEvent }),
  /** From now on the sender wants events of these accounts only; null: of all, as from the start. */
  z.object({ t: z.literal("watch"), accounts: z.array(id).nullable() }),
]);
export type BusFrame = z.infer<typeof busFrame>;
