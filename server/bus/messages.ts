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

export const gatewayRequests = {
  ping: {
    input: z.object({}),
    output: z.object({
      pid: z.number(),
      startedAt: z.number(),
      registrations: z.number(),
      peers: z.number(),
      listeners: z.array(z.object({ service: z.enum(["bootstrap", "lwm2m"]), uri: z.string() })),
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
  /** The settings of an account changed. */
  "account.reload": { input: z.object({}), output: z.object({}) },
  /** A directory entry was made by a person or an application, for a device that may come. */
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
  /** Which paths are observed changed. */
  z.object({ kind: z.literal("observations"), accountId: id, deviceId: id, paths: z.array(z.string()) }),
]);
export type BusEvent = z.infer<typeof busEvent>;

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
