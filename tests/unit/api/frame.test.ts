import { once } from "node:events";
import { readFileSync } from "node:fs";
import { type IncomingMessage, request } from "node:http";
import { Readable } from "node:stream";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { notServed } from "@/server/api/not-served";
import { operation, Reply } from "@/server/api/operation";
import { operations } from "@/server/api/operations";
import { Router } from "@/server/api/router";
import { z } from "@/server/api/zod";
import { listLimitations } from "@/server/services/accounts/limitations";
import { createApiKey } from "@/server/services/api-keys/create";
import { createAccessKey } from "@/server/services/applications/access-keys";
import { createApplication } from "@/server/services/applications/change";
import { createDeveloperCertificate } from "@/server/services/certificates/create-developer";
import { scopes } from "@/server/services/context";
import { createDeviceGroup } from "@/server/services/device-groups/create";
import { createDeviceQuery } from "@/server/services/device-queries/create";
import { createEnrollment } from "@/server/services/enrollments/create";
import { enrollmentIdentity } from "@/server/services/enrollments/identity";
import { newId } from "@/server/services/ids";
import { createUser } from "@/server/services/users/create";
import { type ApiBench, openApiBench } from "../../support/api-bench";

let bench: ApiBench;
beforeAll(async () => {
  bench = await openApiBench({ strangerRate: { perSecond: 10_000, burst: 10_000 } });
});
afterAll(() => bench.close());

const paths = () => operations.map(({ method, path }) => [method.toUpperCase(), path] as const);
const fill = (path: string, id: string) => path.replace(/\{\w+\}/g, id);

describe("every route", () => {
  it("asks for a key", async () => {
    const { body: document } = await bench.call(null, "GET", "/openapi.json");
    const described = Object.entries(document.paths as Record<string, object>).flatMap(([path, item]) =>
      Object.keys(item).map((method) => [method.toUpperCase(), path] as const),
    );
    expect(described.length).toBe(operations.length);
    for (const [method, path] of described) {
      const answer = await bench.call(null, method, fill(path, newId()), method === "GET" ? undefined : {});
      expect([answer.status, answer.body.type], `${method} ${path}`).toEqual([401, "invalid_auth"]);
      expect(answer.headers.get("www-authenticate")).toBe("Bearer");
    }
  });

  it("knows nothing of another account", async () => {
    // The other way round, administrators of the first account would find everything: they run the instance.
    const { a: owner, b: stranger, db } = bench;
    const device = newId();
    await db.device.create({
      data: { id: device, accountId: owner.id, identity: "ep:foreign", endpointName: "foreign" },
    });
    const now = new Date();
    await db.registration.create({
      data: {
        deviceId: device,
        id: device,
        accountId: owner.id,
        endpointName: "foreign",
        lifetime: 60,
        lwm2mVersion: "1.1",
        binding: "U",
        objectLinks: "</3/0>",
        address: "192.0.2.1:5683",
        transport: "udp",
        registeredAt: now,
        updatedAt: now,
        expiresAt: new Date(now.getTime() + 60_000),
      },
    });
    const event = newId();
    await db.deviceEvent.create({
      data: {
        id: event,
        accountId: owner.id,
        deviceId: device,
        type: "device.updated",
        category: "device",
        outcome: "SUCCESS",
        description: "Changed name.",
        at: now,
      },
    });
    const certificate = await createDeveloperCertificate(owner.ctx, { name: "foreign", keepKey: true });
    const group = (await bench.call(owner.admin, "GET", "/v3/policy-groups")).body.data[0].id;
    const key = (await bench.call(owner.admin, "GET", "/v3/api-keys/me")).body.id;
    const deviceGroup = await createDeviceGroup(owner.ctx, { name: "foreign" });
    const deviceQuery = await createDeviceQuery(owner.ctx, { name: "foreign", query: "" });
    const application = await createApplication(owner.ctx, { name: "foreign" });
    const accessKey = await createAccessKey(owner.ctx, { applicationId: application.id, name: "foreign" });
    const { invited } = await createUser(owner.ctx, { email: "foreign@example.com" });
    const [limitation] = listLimitations(owner.ctx);
    const entry = await db.auditEntry.findFirstOrThrow({ where: { accountId: owner.id } });
    const renewal = newId();
    await db.certificateEnrollment.create({
      data: {
        id: renewal,
        accountId: owner.id,
        deviceId: device,
        certificateName: "LWM2M",
        createdAt: now,
        updatedAt: now,
      },
    });
    const enrollment = await createEnrollment(owner.ctx, {
      enrollmentIdentity: enrollmentIdentity("0".repeat(64)),
    });
    const jobs = new Map<string, string>();
    for (const kind of ["upload", "delete"]) {
      const id = newId();
      jobs.set(kind, id);
      const report = new Uint8Array(1);
      const list = { fullReport: report, errorsReport: report };
      await db.enrollmentJob.create({
        data: { id, accountId: owner.id, kind, ...list, status: "completed", createdAt: now },
      });
    }
    const denial = newId();
    await db.deviceEvent.create({
      data: {
        id: denial,
        accountId: owner.id,
        type: "handshake.failed",
        category: "connection",
        outcome: "FAIL",
        description: "",
        data: JSON.stringify({ trustedCertificateId: certificate.id, endpointName: "foreign" }),
        at: now,
      },
    });
    const issuers = await bench.call(owner.admin, "GET", "/v3/certificate-issuer-configurations/lwm2m");
    const ids: Record<string, string> = {
      id: device,
      device_id: device,
      device_event_id: event,
      device_log_id: event,
      device_group_id: deviceGroup.id,
      query_id: deviceQuery.id,
      enrollment_id: enrollment.id,
      upload_id: jobs.get("upload") ?? "",
      delete_id: jobs.get("delete") ?? "",
      device_enrollment_denial_id: denial,
      certificate_name: "LWM2M",
      certificate_enrollment_id: renewal,
      certificate_issuer_configuration_id: issuers.body.id,
      resource_path: "3/0/0",
      certificate_id: certificate.id,
      cert_id: certificate.id,
      apikey_id: key,
      user_id: owner.userId,
      group_id: group,
      account_id: owner.id,
      application_id: application.id,
      access_key_id: accessKey.id,
      invitation_id: invited?.id ?? "",
      limitation_id: limitation?.id ?? "",
      entry_id: entry.id,
    };
    // What some take instead of a name.
    const given: Record<string, { query?: string; body: unknown }> = {
      "POST /v2/device-requests/{device_id}": {
        query: "?async-id=x",
        body: { method: "GET", uri: "/3/0/0" },
      },
      "POST /v3/device-groups/{device_group_id}/devices/add": { body: { device_id: device } },
      "POST /v3/device-groups/{device_group_id}/devices/remove": { body: { device_id: device } },
      "PUT /v3/device-queries/{query_id}": { body: { name: "mine now", query: "" } },
      "PUT /v3/certificate-issuer-configurations/{certificate_issuer_configuration_id}": {
        body: { certificate_issuer_id: null },
      },
      "POST /v3/devices/{id}/suspend": { body: { category: "other" } },
      "POST /v3/devices/{id}/resume": { body: { category: "other" } },
    };
    bench.answers["device.request"] = () => ({ refused: null });
    bench.answers["subscription.list"] = () => ({ paths: ["/3/0/0"] });
    const anybody = {
      name: "mine now",
      email: "mine@example.com",
      service: "bootstrap",
      certificate: "PEM",
    };
    // What is the same for everybody.
    const common = (path: string) => path.includes("{block_category_reference}");
    for (const [method, path] of paths().filter(([, path]) => path.includes("{") && !common(path))) {
      const { query = "", body } = given[`${method} ${path}`] ?? {
        body: method === "GET" ? undefined : /\/groups(\/add|\/remove)?$/.test(path) ? [] : anybody,
      };
      const target =
        path.replace(/\{(\w+)\}/g, (_, name: string) => {
          expect(ids, path).toHaveProperty(name);
          return ids[name] as string;
        }) + query;
      const found = await bench.call(stranger.admin, method, target, body);
      expect(found.status, `${method} ${path}`).toBe(404);
      // Some are told that they may not, before anybody looks.
      const { status } = await bench.call(stranger.developer, method, target, body);
      expect([403, 404], `${method} ${path}`).toContain(status);
      const unknown = await bench.call(stranger.admin, method, fill(path, newId()) + query, body);
      expect(unknown.status, `${method} ${path}`).toBe(404);
      const noId = await bench.call(stranger.admin, method, fill(path, "x") + query, body);
      expect(noId.status, `${method} ${path}`).toBe(404);
      if (method === "GET")
        expect((await bench.call(owner.admin, method, target)).status, path).toBeLessThan(300);
    }
    for (const path of ["/v3/devices", "/v3/device-events", "/v2/endpoints", "/v3/trusted-certificates"]) {
      const { text } = await bench.call(stranger.admin, "GET", path);
      for (const id of Object.values(ids)) expect(text).not.toContain(id);
    }
  });

  it("asks for its scope", async () => {
    const { a } = bench;
    for (const scope of scopes) {
      const others = scopes.filter((one) => one !== scope);
      const { key } = await createApiKey(a.ctx, { name: scope, role: "administrator", scopes: others });
      for (const operation of operations.filter((one) => one.scope === scope)) {
        const [method, path] = [operation.method.toUpperCase(), fill(operation.path, newId())];
        const answer = await bench.call(key, method, path, method === "GET" ? undefined : {});
        expect(answer.status, `${method} ${path}`).toBe(403);
        expect(answer.text, `${method} ${path}`).toContain(scope);
      }
    }
  });
});

describe("the frame", () => {
  it("does not mind slashes, and redirects nobody", async () => {
    for (const path of ["/v3/devices", "/v3/devices/", "//v3/devices", "/v3//devices//?limit=2"])
      expect((await bench.call(bench.a.admin, "GET", path)).status, path).toBe(200);
  });

  it("takes the scheme in any case, and only a key that opens", async () => {
    const status = async (authorization: string) =>
      (await fetch(`${bench.url}/v3/accounts/me`, { headers: { authorization } })).status;
    expect(await status(`bearer ${bench.a.developer}`)).toBe(200);
    expect(await status(`BEARER  ${bench.a.developer} `)).toBe(200);
    for (const bad of [
      bench.a.developer,
      "Bearer",
      `Bearer ${bench.a.developer}x`,
      `Basic ${bench.a.developer}`,
    ])
      expect(await status(bad), bad).toBe(401);
    expect(await status(`Bearer ${bench.a.developer.slice(0, -32)}${"A".repeat(32)}`)).toBe(401);
  });

  it("takes an empty JSON body for no body", async () => {
    const { status, body } = await bench.call(bench.a.admin, "POST", "/v3/developer-certificates", "");
    expect([status, body.type, body.fields[0].name]).toEqual([400, "validation_error", "name"]);
    const id = (await bench.call(bench.a.admin, "POST", "/v3/api-keys", { name: "short" })).body.id;
    expect((await bench.call(bench.a.admin, "PUT", `/v3/api-keys/${id}`, "")).status).toBe(200);
    expect((await bench.call(bench.a.admin, "DELETE", `/v3/api-keys/${id}`, "")).status).toBe(204);
  });

  it("says that a body is no JSON, or too long", async () => {
    const broken = await bench.call(bench.a.admin, "POST", "/v3/devices", "{");
    expect([broken.status, broken.body.type]).toEqual([400, "bad_request"]);
    const long = await new Promise<number | undefined>((resolve, reject) => {
      const req = request(`${bench.url}/v3/devices`, {
        method: "POST",
        headers: { Authorization: `Bearer ${bench.a.admin}`, "Content-Length": 1 << 21 },
      });
      req.on("response", (res) => {
        resolve(res.statusCode);
        req.destroy();
      });
      req.on("error", reject);
      req.flushHeaders();
    });
    expect(long).toBe(413);
    const streamed = await bench.call(bench.a.admin, "POST", "/v3/devices", "x".repeat((1 << 20) + 1));
    expect([streamed.status, streamed.body.type]).toEqual([413, "payload_too_large"]);
  });

  it("answers operations of Pelion's that are not served with 501, and anything else with 404", async () => {
    for (const { operations } of notServed) {
      for (const operation of operations) {
        const [methods = "", path = ""] = operation.split(" ");
        for (const method of methods.split(",")) {
          const { status, body } = await bench.call(bench.a.admin, method, fill(path, newId()));
          expect([status, body.type], `${method} ${path}`).toEqual([501, "not_implemented"]);
        }
      }
    }
    for (const [method, path] of [
      ["GET", "/v3"],
      ["GET", "/v3/nothing"],
      ["PATCH", "/v3/devices"],
      ["OPTIONS", "/v3/devices"],
      ["GET", "/v3/devices/%"],
    ] as const)
      expect((await bench.call(bench.a.admin, method, path)).status, path).toBe(404);
  });

  it("leaves every other path to the pages", async () => {
    for (const path of ["/", "/v1/devices", "/v3devices", "/devices", "/openapi.jsonx"])
      expect((await fetch(bench.url + path)).status, path).toBe(418);
  });

  it("shows what is not served in the documentation", () => {
    const text = readFileSync("docs/rest-api.md", "utf8");
    for (const { title, reason, operations } of notServed) {
      expect(text).toContain(`**${title}.** ${reason}`);
      for (const operation of operations) expect(text).toContain(`\`${operation.replaceAll(",", ", ")}\``);
    }
  });
});

describe("rate limits", () => {
  it("ask callers to come back later", async () => {
    const limited = await openApiBench({
      keyRate: { perSecond: 0.5, burst: 3 },
      strangerRate: { perSecond: 0.1, burst: 2 },
    });
    try {
      for (let turn = 0; turn < 3; turn++)
        expect((await limited.call(limited.a.admin, "GET", "/v3/devices")).status).toBe(200);
      const refused = await limited.call(limited.a.admin, "GET", "/v3/devices");
      expect([refused.status, refused.body.type]).toEqual([429, "too_many_requests"]);
      expect(Number(refused.headers.get("retry-after"))).toBeGreaterThan(0);
      // Another key is not held up.
      expect((await limited.call(limited.a.developer, "GET", "/v3/devices")).status).toBe(200);
      const strangers = [];
      for (let turn = 0; turn < 3; turn++)
        strangers.push((await limited.call(null, "GET", "/v3/devices")).status);
      expect(strangers).toEqual([401, 401, 429]);
    } finally {
      await limited.close();
    }
  });
});

describe("an operation", () => {
  const events: string[] = [];
  let arrived = () => {};
  const common = { tag: "Test", summary: "Test", status: 200 } as const;
  const echo = z.object({ path: z.string(), body: z.string(), type: z.string().nullable() });
  const tests = [
    operation({
      ...common,
      method: "put",
      path: "/v2/test/{resource_path}",
      scope: "connect",
      params: z.object({ resource_path: z.string() }),
      rawBody: { contentTypes: ["text/plain", "application/cbor"] },
      maxBody: 16,
      response: echo,
      plainErrors: true,
      handle: async ({ params, raw }) => ({
        path: params.resource_path,
        body: Buffer.from(raw.body).toString(),
        type: raw.contentType,
      }),
    }),
    operation({
      ...common,
      method: "post",
      path: "/v3/test-files",
      scope: "credentials",
      rawBody: { contentTypes: ["text/csv"], required: true },
      maxBody: 3 << 20,
      response: z.int(),
      handle: async ({ raw }) => raw.body.length,
    }),
    operation({
      ...common,
      method: "get",
      path: "/v3/test-replies/{kind}",
      scope: "read",
      params: z.object({ kind: z.string() }),
      replies: { 205: { description: "Nothing." }, 206: { description: "Part.", contentType: "image/png" } },
      handle: async ({ params: { kind }, ctx }) => {
        if (kind === "text") return new Reply(200, "plain");
        if (kind === "bytes") return new Reply(206, Buffer.from([1, 2, 3]), { "Content-Type": "image/png" });
        if (kind === "json") return new Reply(200, { requestId: ctx.requestId });
        if (kind === "nothing") return new Reply(205);
        if (kind === "stream") return new Reply(200, Readable.from(["one,", "two"]));
        return undefined;
      },
    }),
    operation({
      ...common,
      method: "get",
      path: "/v3/test-streams/{kind}",
      scope: "read",
      params: z.object({ kind: z.string() }),
      handle: async ({ params: { kind }, signal }) => {
        async function* endless() {
          try {
            const chunk = Buffer.alloc(1 << 16);
            for (let sent = 0; sent < 10_000; sent++) {
              events.push("chunk");
              yield chunk;
            }
          } finally {
            events.push("ended");
            arrived();
          }
        }
        async function* waiting() {
          yield "first";
          await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve()));
          events.push("aborted");
          arrived();
        }
        async function* broken() {
          yield "first";
          throw new Error("broken");
        }
        return new Reply(200, { endless, waiting, broken }[kind as "endless"]());
      },
    }),
    operation({
      ...common,
      method: "get",
      path: "/v3/test-polls",
      scope: "read",
      handle: async ({ signal }) => {
        arrived();
        await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve()));
        events.push("gone");
        arrived();
      },
    }),
    operation({
      ...common,
      method: "post",
      path: "/v3/test-accepted",
      scope: "manage",
      status: 202,
      handle: async () => {},
    }),
  ];
  const nextArrival = () =>
    new Promise<void>((resolve) => {
      arrived = resolve;
    });

  let own: ApiBench;
  const url = (path: string) => own.url + path;
  const headers = (more: Record<string, string> = {}) => ({
    Authorization: `Bearer ${own.a.admin}`,
    ...more,
  });
  const open = (path: string) =>
    new Promise<IncomingMessage>((resolve, reject) => {
      const req = request(url(path), { headers: headers() });
      req.on("response", resolve).on("error", reject).end();
    });
  beforeAll(async () => {
    own = await openApiBench({ operations: tests });
  });
  afterAll(() => own.close());

  it("is for keys that have its scope", async () => {
    const { id } = await own.db.apiKey.findFirstOrThrow({
      where: { accountId: own.a.id, name: "developer" },
    });
    await own.db.apiKey.update({ where: { id }, data: { scopes: "read manage" } });
    expect((await own.call(own.a.developer, "GET", "/v3/test-replies/void")).status).toBe(200);
    const refused = await own.call(own.a.developer, "POST", "/v3/test-files");
    expect([refused.status, refused.body.type]).toEqual([403, "forbidden"]);
    expect(refused.body.message).toContain("credentials");
    const plain = await own.call(own.a.developer, "PUT", "/v2/test/3/0");
    expect([plain.status, plain.headers.get("content-type")]).toEqual([403, "text/plain; charset=utf-8"]);
    expect(plain.text).toContain("connect");
  });

  it("takes any number of segments, encoded or not", async () => {
    for (const path of ["3200/0/5501", "//3200/0/5501/", "3200%2F0%2F5501", "%2F3200/0//5501"])
      expect((await own.call(own.a.admin, "PUT", `/v2/test/${path}`)).body.path, path).toBe("3200/0/5501");
    expect((await own.call(own.a.admin, "PUT", "/v2/test")).status).toBe(404);
  });

  it("takes bytes of its media types", async () => {
    const put = (body: string | undefined, type: string | null) =>
      fetch(url("/v2/test/3/0"), {
        method: "PUT",
        headers: headers(type === null ? {} : { "Content-Type": type }),
        body: body === undefined ? null : Buffer.from(body),
      });
    expect(await (await put("on", "text/plain; charset=utf-8")).json()).toMatchObject({ body: "on" });
    expect(await (await put("on", null)).json()).toMatchObject({ body: "on", type: null });
    expect((await put(undefined, "application/json")).status).toBe(200);
    expect((await put("{}", "application/json")).status).toBe(415);
    expect((await put("x".repeat(17), "text/plain")).status).toBe(413);
    const post = (body: Uint8Array<ArrayBuffer> | string) =>
      fetch(url("/v3/test-files"), {
        method: "POST",
        headers: headers({ "Content-Type": "text/csv" }),
        body,
      });
    expect(await (await post(new Uint8Array(2 << 20))).json()).toBe(2 << 20);
    expect((await post("")).status).toBe(400);
    expect((await post(new Uint8Array((3 << 20) + 1))).status).toBe(413);
  });

  it("refuses a body of unknown length as soon as it is too long", async () => {
    const answer = await fetch(url("/v2/test/3/0"), {
      method: "PUT",
      headers: headers(),
      body: new ReadableStream({
        start(controller) {
          for (let turn = 0; turn < 32; turn++) controller.enqueue(new Uint8Array(8));
          controller.close();
        },
      }),
      duplex: "half",
    } as RequestInit);
    expect(answer.status).toBe(413);
  });

  it("answers with text, bytes, JSON, a stream, or nothing", async () => {
    const get = async (kind: string) => {
      const answer = await fetch(url(`/v3/test-replies/${kind}`), { headers: headers() });
      return [answer.status, answer.headers.get("content-type"), await answer.text()];
    };
    expect(await get("text")).toEqual([200, "text/plain; charset=utf-8", "plain"]);
    expect(await get("bytes")).toEqual([206, "image/png", "\u0001\u0002\u0003"]);
    expect(await get("nothing")).toEqual([205, null, ""]);
    expect(await get("stream")).toEqual([200, null, "one,two"]);
    expect(await get("void")).toEqual([200, null, ""]);
    const answer = await fetch(url("/v3/test-replies/json"), { headers: headers() });
    expect((await answer.json()).requestId).toBe(answer.headers.get("x-request-id"));
    expect(Object.fromEntries(answer.headers)).toMatchObject({
      "cache-control": "no-store",
      "content-security-policy": expect.stringContaining("default-src 'none'"),
      "x-content-type-options": "nosniff",
    });
    const head = await fetch(url("/v3/test-replies/text"), { method: "HEAD", headers: headers() });
    expect([head.status, head.headers.get("content-length"), await head.text()]).toEqual([200, "5", ""]);
    const silent = await fetch(url("/v3/test-replies/stream"), { method: "HEAD", headers: headers() });
    expect([silent.status, await silent.text()]).toEqual([200, ""]);
    const accepted = await own.call(own.a.admin, "POST", "/v3/test-accepted");
    expect([accepted.status, accepted.headers.get("content-length")]).toEqual([202, "0"]);
  });

  it("makes no more of a stream than the client reads, and ends it with the client", async () => {
    const ended = nextArrival();
    const res = await open("/v3/test-streams/endless");
    await new Promise((resolve) => res.once("readable", resolve));
    res.destroy();
    await ended;
    expect(events.at(-1)).toBe("ended");
    expect(events.length).toBeLessThan(2_000);
  });

  it("tells when the client goes during a stream or before an answer", async () => {
    const ended = nextArrival();
    const res = await open("/v3/test-streams/waiting");
    const [first] = await once(res, "data");
    expect(String(first)).toBe("first");
    res.destroy();
    await ended;
    expect(events.at(-1)).toBe("aborted");

    const asked = nextArrival();
    const req = request(url("/v3/test-polls"), { headers: headers() }).on("error", () => {});
    req.end();
    await asked;
    const gone = nextArrival();
    req.destroy();
    await gone;
    expect(events.at(-1)).toBe("gone");
  });

  it("cuts the answer when its stream breaks", async () => {
    const res = await open("/v3/test-streams/broken");
    res.resume();
    await expect(once(res, "end")).rejects.toThrow("aborted");
  });

  it("is in the document with what it takes and answers", async () => {
    const { body } = await own.call(null, "GET", "/openapi.json");
    expect(body.paths["/v2/test/{resource_path}"].put.requestBody.content).toHaveProperty("application/cbor");
    expect(body.paths["/v2/test/{resource_path}"].put.security).toEqual([{ ApiKey: ["connect"] }]);
    expect(body.paths["/v3/test-replies/{kind}"].get.responses["206"].content).toHaveProperty("image/png");
    expect(body.paths["/v3/test-accepted"].post.responses["202"].content).toBeUndefined();
  });

  it("is declared once", () => {
    expect(() => new Router([...tests, ...tests])).toThrow("declared twice");
  });
});
