import { readFileSync } from "node:fs";
import { request } from "node:http";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { notServed } from "@/server/api/not-served";
import { operations } from "@/server/api/operations";
import { createDeveloperCertificate } from "@/server/services/certificates/create-developer";
import { newId } from "@/server/services/ids";
import { type ApiBench, openApiBench } from "../../support/api-bench";

let bench: ApiBench;
beforeAll(async () => {
  bench = await openApiBench();
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
    const { a, b, db } = bench;
    const device = newId();
    await db.device.create({
      data: { id: device, accountId: b.id, identity: "ep:foreign", endpointName: "foreign" },
    });
    const now = new Date();
    await db.registration.create({
      data: {
        deviceId: device,
        id: device,
        accountId: b.id,
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
        accountId: b.id,
        deviceId: device,
        type: "device.updated",
        category: "device",
        outcome: "SUCCESS",
        description: "Changed name.",
        at: now,
      },
    });
    const certificate = await createDeveloperCertificate(b.ctx, { name: "foreign", keepKey: true });
    const group = (await bench.call(b.admin, "GET", "/v3/policy-groups")).body.data[0].id;
    const key = (await bench.call(b.admin, "GET", "/v3/api-keys/me")).body.id;
    const ids: Record<string, string> = {
      id: device,
      device_id: device,
      device_event_id: event,
      certificate_id: certificate.id,
      cert_id: certificate.id,
      apikey_id: key,
      user_id: b.userId,
      group_id: group,
    };
    for (const [method, path] of paths().filter(([, path]) => path.includes("{"))) {
      const target = path.replace(/\{(\w+)\}/g, (_, name: string) => {
        expect(ids, path).toHaveProperty(name);
        return ids[name] as string;
      });
      const body = method === "GET" ? undefined : { name: "mine now" };
      for (const mine of [a.admin, a.developer])
        expect((await bench.call(mine, method, target, body)).status, `${method} ${path}`).toBe(404);
      const unknown = await bench.call(a.admin, method, fill(path, newId()), body);
      expect(unknown.status, `${method} ${path}`).toBe(404);
      const noId = await bench.call(a.admin, method, fill(path, "x"), body);
      expect(noId.status, `${method} ${path}`).toBe(404);
      if (method === "GET") expect((await bench.call(b.developer, method, target)).status, path).toBe(200);
    }
    for (const path of ["/v3/devices", "/v3/device-events", "/v2/endpoints", "/v3/trusted-certificates"]) {
      const { text } = await bench.call(a.admin, "GET", path);
      for (const id of Object.values(ids)) expect(text).not.toContain(id);
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
        headers: { "Content-Length": 1 << 21 },
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
