import { X509Certificate } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type ApiBench, openApiBench } from "../../support/api-bench";

let bench: ApiBench;
beforeAll(async () => {
  bench = await openApiBench();
});
afterAll(() => bench.close());

const get = async (path: string, key = bench.a.developer) =>
  (await bench.call(key, "GET", `/v3/${path}`)).body;

describe("server credentials", () => {
  it("tell where devices of the account find both services, and the CA to know them by", async () => {
    const all = await get("server-credentials/");
    expect(all.bootstrap.url).toBe(`coaps://localhost:25784?aid=${bench.a.id}`);
    expect(all.lwm2m.url).toBe(`coaps://localhost:25684?aid=${bench.a.id}`);
    expect(new X509Certificate(all.lwm2m.certificate).ca).toBe(true);
    const { url, certificate } = all.bootstrap;
    const one = await get("server-credentials/bootstrap");
    expect(one).toMatchObject({
      object: "server-credentials",
      server_uri: url,
      server_certificate: certificate,
    });
    const lwm2m = await get("server-credentials/lwm2m");
    expect(lwm2m.server_uri).toBe(all.lwm2m.url);
    expect(lwm2m.id).not.toBe(one.id);
    const other = await get("server-credentials/bootstrap", bench.b.developer);
    expect(other.server_uri).toContain(bench.b.id);
    expect(other.id).not.toBe(one.id);
  });
});

describe("certificate issuers", () => {
  it("are the instance's own CA alone", async () => {
    expect(await get("certificate-issuers")).toMatchObject({ data: [], has_more: false, total_count: 0 });
    const { data } = await get("certificate-issuer-configurations?limit=2");
    expect(data).toMatchObject([{ reference: "LWM2M", certificate_issuer_id: null, is_custom: false }]);
    expect(await get("certificate-issuer-configurations/lwm2m")).toEqual(data[0]);
    expect(await get(`certificate-issuer-configurations/${data[0].id}`)).toEqual(data[0]);
    for (const path of ["lwm2m", data[0].id]) {
      const put = (certificate_issuer_id: unknown, key = bench.a.admin) =>
        bench.call(key, "PUT", `/v3/certificate-issuer-configurations/${path}`, { certificate_issuer_id });
      expect((await put(null)).body).toEqual(data[0]);
      const other = await put("0".repeat(32));
      expect([other.status, other.body.fields[0].name]).toEqual([400, "certificate_issuer_id"]);
      expect((await put(undefined)).status).toBe(400);
      expect((await put(null, bench.a.developer)).status).toBe(403);
    }
  });
});
