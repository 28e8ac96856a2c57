import { Agent, request } from "node:http";
import fc from "fast-check";
import { afterAll, beforeAll, beforeEach, expect, it } from "vitest";
import { openApiDocument } from "@/server/api/document";
import { operations } from "@/server/api/operations";
import { Router } from "@/server/api/router";
import { createRootAuthority, toPem } from "@/server/pki";
import { createApiKey } from "@/server/services/api-keys/create";
import { createAccessKey } from "@/server/services/applications/access-keys";
import { createApplication } from "@/server/services/applications/change";
import { createDeveloperCertificate } from "@/server/services/certificates/create-developer";
import { actAs } from "@/server/services/create-context";
import { createEnrollmentJob } from "@/server/services/enrollments/jobs";
import { groupId } from "@/server/services/groups/list";
import { newId } from "@/server/services/ids";
import { type ApiBench, openApiBench } from "../../support/api-bench";
import { complaints, type JsonSchema, type Schemas, valuesOf } from "../../support/json-schema";

/** For all operations together: some ten seconds. */
const REQUESTS = 2_000;
const SEED = Number(process.env.GANGWAY_FUZZ_SEED ?? 20_260_131);
/** A poll or a stream that nobody feeds is left after a moment. */
const PATIENCE_MS = 60;
const LONG = /\/(pull|events|websocket-connect)$/;

interface Described {
  parameters?: { name: string; in: string; required?: boolean; schema: JsonSchema }[];
  requestBody?: { content: Record<string, { schema: JsonSchema }> };
  responses: Record<string, { content?: Record<string, { schema: JsonSchema }> }>;
}

const document = openApiDocument("0.0.0", operations) as unknown as {
  paths: Record<string, Record<string, Described>>;
  components: { schemas: Schemas };
};
const { schemas } = document.components;
const described = Object.entries(document.paths).flatMap(([path, methods]) =>
  Object.entries(methods).map(([method, operation]) => ({ method: method.toUpperCase(), path, operation })),
);

const router = new Router(operations);

/** What a parameter is the id of, by the word before it in the path. */
type Kind = keyof Awaited<ReturnType<typeof account>>;
const KINDS: Readonly<Record<string, Kind>> = {
  accounts: "account",
  users: "user",
  "api-keys": "key",
  devices: "device",
  endpoints: "device",
  subscriptions: "device",
  "device-requests": "device",
  "device-events": "event",
  devicelog: "event",
  "device-logs": "event",
  "trusted-certificates": "certificate",
  "developer-certificates": "certificate",
  "device-groups": "group",
  "device-queries": "query",
  applications: "application",
  "access-keys": "accessKey",
  "policy-groups": "role",
  "user-invitations": "invitation",
  "device-enrollments": "enrollment",
  "device-enrollments-bulk-uploads": "upload",
  "device-enrollments-bulk-deletes": "deletion",
  "certificate-enrollments": "renewal",
};
/** Words that stand where ids do. */
const WORDS: Readonly<Record<string, readonly string[]>> = {
  "device-block-categories": ["maintenance", "lost_or_stolen"],
  certificates: ["LWM2M"],
};
const RESOURCE_PATHS = ["3303/0/5700", "3/0", "3303", "3/0/6/0", "/3//0/14"];
const enrollmentIdentity = (id: string) => `A-${id.toUpperCase().repeat(2).match(/../g)?.join(":")}`;

/** What members have to be that their schema does not tell. */
const hints = (): Readonly<Record<string, unknown>> => ({
  accept: null,
  "content-type": "text/plain",
  certificate: toPem(createRootAuthority("Fuzz", 1).certificate, "CERTIFICATE"),
  uri: "/3303/0/5700",
  query: "state=registered",
  url: "http://127.0.0.1:9/",
  password: "a long enough password",
  username: "some.body",
  email: `${newId()}@example.com`,
  enrollment_identity: enrollmentIdentity(newId()),
  groups: [ids.role],
  users: [ids.user],
  api_keys: [ids.key],
  apikeys: [ids.key],
  applications: [ids.application],
  device_id: ids.device,
  category: "maintenance",
  owner: ids.user,
});

let bench: ApiBench;
let agent: Agent;
/** Of an account that the operation under test may wreck. */
let key: string;
let ids: Awaited<ReturnType<typeof account>>;

beforeAll(async () => {
  bench = await openApiBench();
  agent = new Agent({ keepAlive: true });
  gateway(true);
});
afterAll(async () => {
  agent.destroy();
  await bench.close();
});
beforeEach(seed);

/** Starts or stops what stands for the gateway. */
function gateway(running: boolean): void {
  const { answers } = bench;
  for (const op of Object.keys(answers)) delete answers[op as keyof typeof answers];
  if (!running) return;
  answers["device.request"] = () => ({ refused: null });
  answers["subscription.put"] = () => ({ state: "pending", refused: null });
  answers["subscription.remove"] = () => ({ removed: 1 });
  answers["subscription.list"] = () => ({ paths: ["/3/0/0"] });
  answers["owner.reload"] = () => ({});
  answers["account.reload"] = () => ({});
  answers["device.suspension"] = () => ({});
  answers["device.renew"] = () => ({ code: "2.04", ok: true, message: "", values: [] });
}

async function seed(): Promise<void> {
  ids = await account();
}

/** A new account with one of everything; `key` is one of its administrator's. */
async function account() {
  const { db, system } = bench;
  const [accountId, user, device] = [newId(), newId(), newId()] as const;
  const email = `${user}@example.com`;
  await db.account.create({ data: { id: accountId, name: accountId } });
  await db.user.create({
    data: { id: user, accountId, email, passwordHash: "-", role: "administrator" },
  });
  const ctx = actAs(system, { kind: "user", id: user, accountId, role: "administrator", email });
  key = (await createApiKey(ctx, { name: "fuzz", role: "administrator" })).key;
  const now = new Date();
  const later = new Date(now.getTime() + 600_000);
  const common = { accountId, name: "fuzz", createdAt: now, updatedAt: now };
  await db.device.create({
    data: {
      id: device,
      accountId,
      identity: "ep:fuzz",
      endpointName: "fuzz",
      state: "registered",
      executionMode: 1,
      customAttributes: '{"colour":"red"}',
    },
  });
  await db.registration.create({
    data: {
      deviceId: device,
      id: device,
      accountId,
      endpointName: "fuzz",
      lifetime: 600,
      lwm2mVersion: "1.1",
      binding: "U",
      objectLinks: "</3/0>,</3303/0/5700>;obs",
      address: "192.0.2.1:5683",
      transport: "dtls",
      registeredAt: now,
      updatedAt: now,
      expiresAt: later,
    },
  });
  await db.resourceValue.create({
    data: {
      deviceId: device,
      path: "/3303/0/5700",
      value: '{"type":"float","value":21.5}',
      source: "notify",
      at: now,
    },
  });
  const event = await db.deviceEvent.create({
    data: {
      id: newId(),
      accountId,
      deviceId: device,
      type: "device.updated",
      category: "device",
      outcome: "SUCCESS",
      description: "Changed name.",
      at: now,
    },
  });
  const group = await db.deviceGroup.create({ data: { id: newId(), ...common } });
  await db.deviceGroupMember.create({ data: { groupId: group.id, deviceId: device } });
  const query = await db.deviceQuery.create({ data: { id: newId(), query: "state=registered", ...common } });
  const application = await createApplication(ctx, { name: "fuzz" });
  const accessKey = await createAccessKey(ctx, { applicationId: application.id, name: "fuzz" });
  const invitation = await db.userInvitation.create({
    data: {
      id: newId(),
      accountId,
      userId: user,
      hash: newId(),
      createdBy: "tests",
      createdAt: now,
      expiresAt: later,
    },
  });
  const enrollment = await db.enrollment.create({
    data: {
      id: newId(),
      accountId,
      identity: enrollmentIdentity(user),
      fingerprint: user,
      createdAt: now,
      expiresAt: later,
    },
  });
  const list = Buffer.from(`identity
${enrollmentIdentity(device)}
`);
  const job = (kind: "upload" | "delete") => createEnrollmentJob(ctx, { kind, list });
  const renewal = await db.certificateEnrollment.create({
    data: {
      id: newId(),
      accountId,
      deviceId: device,
      certificateName: "LWM2M",
      createdAt: now,
      updatedAt: now,
    },
  });
  return {
    account: accountId,
    user,
    device,
    event: event.id,
    key: (await createApiKey(ctx, { name: "other" })).id,
    certificate: (await createDeveloperCertificate(ctx, { name: "fuzz", keepKey: true })).id,
    group: group.id,
    query: query.id,
    application: application.id,
    accessKey: accessKey.id,
    role: groupId(accountId, "developer"),
    invitation: invitation.id,
    enrollment: enrollment.id,
    upload: (await job("upload")).id,
    deletion: (await job("delete")).id,
    renewal: renewal.id,
  };
}

/** The first item of lists whose items nothing above knows. */
const listed = new Map<string, string>();

async function list(path: string): Promise<void> {
  const segments = path.split("/");
  for (const [index, segment] of segments.entries()) {
    const word = segments[index - 1] ?? "";
    if (!segment.startsWith("{") || KINDS[word] || WORDS[word]) continue;
    const above = segments.slice(0, index).map((one, n) => {
      const kind = KINDS[segments[n - 1] ?? ""];
      return one.startsWith("{") && kind ? ids[kind] : one;
    });
    const answer = await send(
      "GET",
      above.join("/"),
      { Authorization: `Bearer ${key}` },
      Buffer.alloc(0),
      10_000,
    );
    if (answer?.status === 200 && answer.type.startsWith("application/json"))
      listed.set(word, JSON.parse(answer.body).data?.[0]?.id);
  }
}

const garbage = fc.oneof(
  fc.string({ unit: "binary", maxLength: 60 }),
  fc.constantFrom(
    "",
    " ",
    "\0",
    "%",
    "..",
    "null",
    "-1",
    "1e9",
    "[]",
    "x".repeat(3000),
    "';--",
    "a,b",
    "2026-13-45",
  ),
);
const someJson = fc.oneof(
  garbage,
  fc.jsonValue({ maxDepth: 3 }),
  fc.constantFrom(null, {}, [], -1, 1e308, 2 ** 53, true, { __proto__: null, constructor: 1 }),
);

/** Values for a query, where everything is text. */
function texts(schema: JsonSchema): fc.Arbitrary<string> {
  const fitting = valuesOf(schema, schemas).map((value) =>
    typeof value === "string" ? value : JSON.stringify(value),
  );
  return fc.oneof({ weight: 4, arbitrary: fitting }, { weight: 1, arbitrary: garbage });
}

/** The path filled in: mostly with what is there. */
function paths(path: string): fc.Arbitrary<() => string> {
  const segments = path.split("/").map((segment, index, all): fc.Arbitrary<() => string> => {
    const [, name] = /^\{(\w+)\}$/.exec(segment) ?? [];
    if (!name) return fc.constant(() => segment);
    if (name === "resource_path")
      return fc.oneof(
        { weight: 3, arbitrary: fc.constantFrom(...RESOURCE_PATHS).map((text) => () => text) },
        { weight: 1, arbitrary: garbage.map((text) => () => encodeURIComponent(text)) },
      );
    const before = all[index - 1] ?? "";
    const kind = KINDS[before];
    const words = WORDS[before];
    if (words)
      return fc.oneof(fc.constantFrom(...words), garbage).map((text) => () => encodeURIComponent(text));
    return fc.oneof(
      { weight: 6, arbitrary: fc.constant(() => (kind ? ids[kind] : (listed.get(before) ?? newId()))) },
      { weight: 1, arbitrary: fc.constant(newId) },
      { weight: 1, arbitrary: garbage.map((text) => () => encodeURIComponent(text)) },
    );
  });
  return fc.tuple(...segments).map((parts) => () => parts.map((part) => part()).join("/"));
}

function withHints(body: unknown): unknown {
  if (Array.isArray(body) || typeof body !== "object" || body === null) return body;
  const known = hints();
  return Object.fromEntries(
    Object.entries(body).map(([name, value]) => [name, Object.hasOwn(known, name) ? known[name] : value]),
  );
}

/** A body that fits, or one with a member that does not, or none at all. */
function bodies(operation: Described): fc.Arbitrary<() => Buffer> {
  if (operation.requestBody?.content["multipart/form-data"]) return forms;
  const schema = operation.requestBody?.content["application/json"]?.schema;
  const fitting = schema ? valuesOf(schema, schemas) : someJson;
  const broken = fc.tuple(fitting, someJson, fc.nat()).map(([body, member, n]) => {
    const names = body && typeof body === "object" ? Object.keys(body) : [];
    const name = names[n % Math.max(1, names.length)];
    return name === undefined
      ? member
      : Object.assign(Array.isArray(body) ? [...body] : { ...(body as object) }, { [name]: member });
  });
  const json = (body: unknown) => Buffer.from(JSON.stringify(body) ?? "");
  return fc.oneof(
    { weight: 4, arbitrary: fitting.map((body) => () => json(withHints(body))) },
    { weight: 2, arbitrary: fitting.map((body) => () => json(body)) },
    { weight: 3, arbitrary: broken.map((body) => () => json(body)) },
    { weight: 1, arbitrary: fc.uint8Array({ maxLength: 64 }).map((bytes) => () => Buffer.from(bytes)) },
    { weight: 1, arbitrary: fc.constant(() => Buffer.alloc(0)) },
  );
}

/** A form with a file, whose boundary is one that the types of requests below name. */
const forms: fc.Arbitrary<() => Buffer> = fc
  .tuple(
    fc.constantFrom(...Array<string>(4).fill("enrollment_identities"), "other"),
    fc.oneof(
      fc.constant(() => `identity\n${hints().enrollment_identity}\n`),
      fc.string({ unit: "binary", maxLength: 200 }).map((text) => () => text),
    ),
    fc.constantFrom("--x--\r\n", ""),
  )
  .map(
    ([name, text, end]) =>
      () =>
        Buffer.from(
          `--x\r\nContent-Disposition: form-data; name="${name}"; filename="a.csv"\r\nContent-Type: text/csv\r\n\r\n${text()}\r\n${end}`,
        ),
  );

function requests({ path, operation }: { path: string; operation: Described }) {
  const query = (operation.parameters ?? []).filter((one) => one.in === "query");
  const needed = query.filter(({ required }) => required).map(({ name }) => name);
  return fc.record({
    path: paths(path),
    query: fc
      .tuple(
        fc.record(Object.fromEntries(query.map((one) => [one.name, texts(one.schema)])), {
          noNullPrototype: true,
        }),
        fc.subarray(
          query.map(({ name }) => name),
          { maxLength: Math.min(3, query.length) },
        ),
        fc.integer({ min: 0, max: 9 }),
      )
      .map(([all, some, n]) =>
        Object.entries(all).filter(([name]) => some.includes(name) || (n > 0 && needed.includes(name))),
      ),
    more: fc.option(fc.tuple(garbage, garbage), { nil: null, freq: 8 }),
    body: bodies(operation),
    type: fc.oneof(
      {
        weight: 6,
        arbitrary: fc.constant(
          operation.requestBody?.content["multipart/form-data"]
            ? "multipart/form-data; boundary=x"
            : "application/json",
        ),
      },
      {
        weight: 2,
        arbitrary: fc.constantFrom(...Object.keys(operation.requestBody?.content ?? { "text/plain": 0 })),
      },
      {
        weight: 1,
        arbitrary: fc.constantFrom("", "image/png", "multipart/form-data", "multipart/form-data; boundary=x"),
      },
    ),
    /** The gateway is not running. */
    down: fc.integer({ min: 0, max: 5 }).map((n) => n === 5),
    headers: fc.dictionary(
      fc.constantFrom(
        "accept",
        "if-none-match",
        "last-event-id",
        "range",
        "x-forwarded-for",
        "upgrade",
        "x-request-id",
      ),
      fc.oneof(
        fc.stringMatching(/^[\x21-\x7e]{0,40}$/),
        fc.constantFrom("*/*", "websocket", "application/json"),
      ),
      { maxKeys: 2 },
    ),
  });
}

interface Answer {
  status: number;
  type: string;
  body: string;
  /** It was still coming when the client left. */
  cut: boolean;
}

function send(
  method: string,
  target: string,
  headers: Record<string, string>,
  body: Buffer,
  patience: number,
): Promise<Answer | null> {
  return new Promise((resolve, reject) => {
    const left = setTimeout(() => req.destroy(new Error("left")), patience);
    const { hostname, port } = new URL(bench.url);
    const req = request(
      // As it is: a URL would take “..” for a step up.
      {
        hostname,
        port,
        path: target,
        method,
        agent,
        headers: { ...headers, "Content-Length": String(body.length) },
      },
      (res) => {
        const chunks: Buffer[] = [];
        const done = (cut: boolean) => {
          clearTimeout(left);
          const { statusCode: status = 0, headers } = res;
          resolve({
            status,
            type: headers["content-type"] ?? "",
            body: Buffer.concat(chunks).toString(),
            cut,
          });
        };
        res.on("data", (chunk: Buffer) => chunks.push(chunk));
        res.on("end", () => done(false));
        res.on("error", () => done(true));
      },
    );
    req.on("error", (error) => {
      clearTimeout(left);
      if (error.message === "left" || req.destroyed) resolve(null);
      else reject(error);
    });
    req.end(body);
  });
}

it.each(described.map((one, index) => [`${one.method} ${one.path}`, one, index] as const))(
  "%s",
  async (name, one, index) => {
    const long = LONG.test(one.path) && one.method === "GET";
    await list(one.path);
    await fc.assert(
      fc.asyncProperty(requests(one), async ({ path, query, more, body, type, headers, down }) => {
        gateway(!down);
        const search = new URLSearchParams([...query, ...(more ? [more] : [])]);
        const target = `${path()}${search.size > 0 ? `?${search}` : ""}`;
        const answer = await send(
          one.method,
          target,
          { ...headers, Authorization: `Bearer ${key}`, ...(type && { "Content-Type": type }) },
          one.method === "GET" ? Buffer.alloc(0) : body(),
          long ? PATIENCE_MS : 10_000,
        );
        if (!answer) return void expect(long, `${name} took too long`).toBe(true);
        check(one, answer, target);
        // It may have deleted its own key.
        if (answer.status === 401) await seed();
      }),
      { seed: SEED + index, numRuns: Math.ceil(REQUESTS / described.length) },
    );
  },
);

function check(one: (typeof described)[number], answer: Answer, target: string): void {
  const { status, type, body, cut } = answer;
  const where = `${target}: ${status} ${body.slice(0, 300)}`;
  const json = type.startsWith("application/json") && status !== 204;
  expect(status < 500 || status === 501 || Object.hasOwn(one.operation.responses, status), where).toBe(true);
  if (status >= 400 && json)
    expect(complaints(schemas.Error as JsonSchema, JSON.parse(body), schemas), where).toEqual([]);
  else if (status >= 400) {
    expect(one.path.startsWith("/v2/"), where).toBe(true);
    expect(body, where).not.toBe("");
  }
  // With an empty segment or a word for an id it is the path of another operation.
  const path =
    target
      .split("?")[0]
      ?.replace(/\/+/g, "/")
      .replace(/(.)\/$/, "$1") ?? "";
  if (router.find(one.method, path)?.operation.path !== one.path) return;
  const declared = one.operation.responses[status];
  expect(declared, where).toBeDefined();
  if (status >= 400 || cut) return;
  const content = declared?.content;
  if (!content) return void expect(body, where).toBe("");
  expect(Object.keys(content), where).toContain(type.split(";")[0]);
  const schema = content["application/json"]?.schema;
  if (json && schema) expect(complaints(schema, JSON.parse(body), schemas), where).toEqual([]);
}
