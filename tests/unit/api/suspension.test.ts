import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { ServiceError } from "@/server/services/errors";
import { newId } from "@/server/services/ids";
import { type ApiBench, openApiBench } from "../../support/api-bench";

let bench: ApiBench;
let id: string;
beforeAll(async () => {
  bench = await openApiBench();
});
afterAll(() => bench.close());
beforeEach(async () => {
  id = newId();
  await bench.db.device.create({
    data: { id, accountId: bench.a.id, identity: `ep:${id}`, endpointName: id, updatedAt: new Date(0) },
  });
  bench.asked.length = 0;
  bench.answers["device.suspension"] = () => ({});
});

const change = (what: "suspend" | "resume", body: unknown) =>
  bench.call(bench.a.developer, "POST", `/v3/devices/${id}/${what}`, body);
const device = async () => (await bench.call(bench.a.developer, "GET", `/v3/devices/${id}`)).body;
const found = async (query: string) =>
  (await bench.call(bench.a.developer, "GET", `/v3/devices?id__eq=${id}&${query}`)).body.data.length === 1;

describe("a device", () => {
  it("is suspended and resumed for the same reason", async () => {
    expect(await device()).toMatchObject({
      lifecycle_status: "enabled",
      operator_suspended: false,
      last_operator_suspended_category: null,
    });
    const reason = { category: "maintenance", description: "New pump" };
    expect((await change("suspend", reason)).status).toBe(204);
    const blocked = await device();
    expect(blocked).toMatchObject({
      lifecycle_status: "blocked",
      operator_suspended: true,
      last_operator_suspended_category: "maintenance",
      last_operator_suspended_description: "New pump",
      system_suspended: false,
    });
    expect(bench.asked).toMatchObject([
      { op: "device.suspension", input: { accountId: bench.a.id, deviceId: id, actor: "key:developer" } },
    ]);
    for (const query of [
      "operator_suspended__eq=true",
      "lifecycle_status=blocked",
      "last_operator_suspended_category__in=maintenance,other",
      `last_operator_suspended_updated_at__gte=${blocked.last_operator_suspended_updated_at}`,
      "system_suspended__eq=false",
    ])
      expect(await found(query), query).toBe(true);
    expect(await found("operator_suspended__neq=true")).toBe(false);

    const wrong = await change("resume", { category: "lost_or_stolen" });
    expect([wrong.status, wrong.body.message]).toEqual([
      400,
      "category: the device is suspended for “maintenance”",
    ]);
    expect((await change("resume", { category: "maintenance" })).status).toBe(204);
    expect(await device()).toMatchObject({
      lifecycle_status: "enabled",
      operator_suspended: false,
      last_operator_suspended_category: "maintenance",
      last_operator_suspended_description: "New pump",
    });
    const events = await bench.db.deviceEvent.findMany({ where: { deviceId: id }, orderBy: { id: "asc" } });
    expect(events.map(({ type, description, stateChange }) => [type, description, stateChange])).toEqual([
      ["device.suspended", "Suspended (maintenance): New pump.", true],
      ["device.resumed", "Resumed.", true],
    ]);
    const audit = await bench.db.auditEntry.findMany({ where: { objectId: id }, orderBy: { id: "asc" } });
    expect(audit.map(({ action }) => action)).toEqual(["device.suspended", "device.resumed"]);
  });

  it("changes once, however often it is asked for", async () => {
    expect((await change("resume", { category: "maintenance" })).status).toBe(204);
    expect((await device()).etag).toBe("1970-01-01T00:00:00.000Z");
    await change("suspend", { category: "other" });
    const { etag } = await device();
    expect((await change("suspend", { category: "other", description: "again" })).status).toBe(204);
    expect(await device()).toMatchObject({ etag, last_operator_suspended_description: "" });
    expect((await change("suspend", { category: "contract" })).status).toBe(400);
    expect(await bench.db.deviceEvent.count({ where: { deviceId: id } })).toBe(1);
    expect(bench.asked).toHaveLength(1);
  });

  it("is suspended while the gateway is away, too", async () => {
    bench.answers["device.suspension"] = () => {
      throw new ServiceError("unavailable", "The gateway is not running.");
    };
    expect((await change("suspend", { category: "compromised" })).status).toBe(204);
    expect((await device()).operator_suspended).toBe(true);
  });

  it("is not suspended for a reason that there is not", async () => {
    for (const body of [
      {},
      { category: "" },
      { category: "bored" },
      { category: 1 },
      { category: "other", description: "x".repeat(2001) },
    ])
      expect((await change("suspend", body)).body.type).toBe("validation_error");
    expect((await change("suspend", { category: "bored" })).body.message).toContain("maintenance");
  });

  it("is suspended by the service when the certificate that it came in by is switched off", async () => {
    const certificate = await bench.db.trustedCertificate.create({
      data: {
        id: newId(),
        accountId: bench.a.id,
        name: "ca",
        certificate: new Uint8Array(),
        fingerprint: newId(),
        subject: "CN=ca",
        issuer: "CN=ca",
        notBefore: new Date(0),
        notAfter: new Date(),
        createdBy: "test",
      },
    });
    await bench.db.device.update({ where: { id }, data: { caId: certificate.id } });
    expect(await device()).toMatchObject({ system_suspended: false, lifecycle_status: "enabled" });
    await bench.db.trustedCertificate.update({
      where: { id: certificate.id },
      data: { status: "INACTIVE" },
    });
    expect(await device()).toMatchObject({
      system_suspended: true,
      operator_suspended: false,
      lifecycle_status: "blocked",
    });
    expect(await found("system_suspended__eq=true&lifecycle_status__neq=enabled")).toBe(true);
  });
});

describe("block categories", () => {
  it("are listed, and found by their reference", async () => {
    const { body } = await bench.call(bench.a.developer, "GET", "/v3/device-block-categories/?limit=2");
    expect(body).toMatchObject({ has_more: false, total_count: body.data.length });
    expect(body.data.map(({ reference }: { reference: string }) => reference)).toEqual(
      expect.arrayContaining(["maintenance", "lost_or_stolen"]),
    );
    const one = await bench.call(bench.a.developer, "GET", "/v3/device-block-categories/lost_or_stolen");
    expect(one.body).toEqual(body.data[1]);
    expect((await bench.call(bench.a.developer, "GET", "/v3/device-block-categories/bored")).status).toBe(
      404,
    );
  });
});
