import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import type { OperationResult } from "@/server/bus/messages";
import { ServiceError } from "@/server/services/errors";
import { newId } from "@/server/services/ids";
import { recoverRenewals } from "@/server/services/renewals/recover";
import { type ApiBench, openApiBench } from "../../support/api-bench";

let bench: ApiBench;
let id: string;
/** Ends the renewal that the gateway is asked for. */
let answer: (result: OperationResult | Error) => void;
beforeAll(async () => {
  bench = await openApiBench();
});
afterAll(() => bench.close());
beforeEach(async () => {
  id = await device("</3/0/0>,</35011/0/27002>");
  bench.asked.length = 0;
  bench.answers["device.renew"] = () =>
    new Promise<OperationResult>((resolve, reject) => {
      answer = (result) => (result instanceof Error ? reject(result) : resolve(result));
    }) as never;
});

async function device(objectLinks: string | null) {
  const id = newId();
  const { a, db } = bench;
  await db.device.create({ data: { id, accountId: a.id, identity: `ep:${id}`, endpointName: id } });
  const at = new Date();
  if (objectLinks)
    await db.registration.create({
      data: {
        deviceId: id,
        id,
        accountId: a.id,
        endpointName: id,
        lifetime: 60,
        lwm2mVersion: "1.1",
        binding: "U",
        objectLinks,
        address: "192.0.2.1:5683",
        transport: "dtls",
        registeredAt: at,
        updatedAt: at,
        expiresAt: new Date(at.getTime() + 60_000),
      },
    });
  return id;
}

const renew = (device = id, name = "LWM2M") =>
  bench.call(bench.a.developer, "POST", `/v3/devices/${device}/certificates/${name}/renew`, "");
const read = async (renewal: string) =>
  (await bench.call(bench.a.developer, "GET", `/v3/certificate-enrollments/${renewal}`)).body;
const ended = (renewal: string) =>
  vi.waitFor(async () => {
    const body = await read(renewal);
    expect(body.enroll_status).toBe("completed");
    return body;
  });
const took: OperationResult = {
  code: "2.04",
  ok: true,
  message: "the device has a new certificate",
  values: [],
};

describe("a renewal", () => {
  it("is taken, asked of the device, and ends with what came of it", async () => {
    const { status, body } = await renew();
    expect(status).toBe(201);
    expect(body).toMatchObject({
      device_id: id,
      certificate_name: "LWM2M",
      enroll_status: "new",
      enroll_result: null,
    });
    expect(bench.asked).toMatchObject([
      { op: "device.renew", input: { accountId: bench.a.id, deviceId: id } },
    ]);
    const again = await renew();
    expect([again.status, again.body.type]).toEqual([409, "duplicate"]);
    answer(took);
    expect(await ended(body.id)).toMatchObject({
      enroll_result: "success",
      enroll_result_detail: "the device has a new certificate",
    });
    const next = (await renew()).body;
    answer({ code: null, ok: false, message: "the device did not answer", values: [] });
    expect(await ended(next.id)).toMatchObject({
      enroll_result: "failure",
      enroll_result_detail: "the device did not answer",
    });
    const list = async (query: string) =>
      (await bench.call(bench.a.developer, "GET", `/v3/certificate-enrollments?device_id__eq=${id}&${query}`))
        .body.data.length;
    expect(await list("enroll_result__eq=success")).toBe(1);
    expect(await list("enroll_status__neq=new&certificate_name__eq=LWM2M")).toBe(2);
    expect(await list(`created_at__gte=${next.created_at}`)).toBe(1);
  });

  it("fails when the gateway is not there, without showing a fault", async () => {
    const first = (await renew()).body;
    answer(new ServiceError("unavailable", "The gateway is not running."));
    expect((await ended(first.id)).enroll_result_detail).toBe("The gateway is not running.");
    const second = (await renew()).body;
    answer(new Error("secret"));
    expect((await ended(second.id)).enroll_result_detail).not.toContain("secret");
  });

  it("needs a device that is registered and can, and a certificate that there is", async () => {
    for (const links of [null, "</3/0/0>"]) {
      const { status, body } = await renew(await device(links));
      expect([status, body.type], String(links)).toEqual([423, "locked"]);
    }
    for (const name of ["BOOTSTRAP", "mbed.LWM2MCert", "lwm2m"])
      expect((await renew(id, name)).status).toBe(404);
    expect((await renew(newId())).status).toBe(404);
    expect(bench.asked).toEqual([]);
  });

  it("that the last process left behind is ended", async () => {
    const open = async (at: number) => {
      const device_ = await device(null);
      const row = {
        deviceId: device_,
        certificateName: "LWM2M",
        createdAt: new Date(at),
        updatedAt: new Date(at),
      };
      const { id } = await bench.db.certificateEnrollment.create({
        data: { ...row, id: newId(), accountId: bench.a.id },
      });
      return { id, device: device_ };
    };
    const lost = await open(1000);
    const done = await open(2000);
    await bench.db.deviceEvent.create({
      data: {
        id: newId(),
        accountId: bench.a.id,
        deviceId: done.device,
        type: "certificate.renewed",
        category: "certificate",
        outcome: "SUCCESS",
        description: "",
        at: new Date(3000),
      },
    });
    await recoverRenewals(bench.system);
    expect(await read(lost.id)).toMatchObject({ enroll_status: "completed", enroll_result: "failure" });
    expect(await read(done.id)).toMatchObject({ enroll_status: "completed", enroll_result: "success" });
    await expect(recoverRenewals(bench.a.ctx)).rejects.toThrow(ServiceError);
  });

  it("that hangs does not block the next one for ever", async () => {
    const first = (await renew()).body;
    await bench.db.certificateEnrollment.update({
      where: { id: first.id },
      data: { createdAt: new Date(Date.now() - 600_000) },
    });
    expect((await renew()).status).toBe(201);
    expect(await read(first.id)).toMatchObject({ enroll_result: "failure" });
  });
});
