import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { enrollmentIdentity, fingerprintOf } from "@/server/services/enrollments/identity";
import { EnrollmentWorker } from "@/server/services/enrollments/worker";
import { newId } from "@/server/services/ids";
import { type ApiBench, openApiBench } from "../../support/api-bench";

let bench: ApiBench;
let worker: EnrollmentWorker;
const faults: unknown[] = [];
const startWorker = () => new EnrollmentWorker(bench.system, (error) => faults.push(error));
beforeAll(async () => {
  bench = await openApiBench();
  worker = startWorker();
});
afterAll(async () => {
  await worker.close();
  await bench.close();
  expect(faults).toEqual([]);
});
beforeEach(async () => {
  await bench.db.enrollment.deleteMany();
  await bench.db.device.deleteMany();
  await bench.db.deviceEvent.deleteMany();
});

const identity = () => enrollmentIdentity(randomBytes(32).toString("hex"));
const call = (method: string, path: string, body?: unknown, key = bench.a.developer) =>
  bench.call(key, method, `/v3/device-enrollments${path}`, body);
const claim = (enrollment_identity: unknown, key = bench.a.developer) =>
  call("POST", "", { enrollment_identity }, key);

async function device(accountId: string, claimed: string, more = {}): Promise<string> {
  const id = newId();
  await bench.db.device.create({
    data: {
      id,
      accountId,
      identity: `ep:${id}`,
      endpointName: id,
      executionMode: 5,
      bootstrapFingerprint: fingerprintOf(claimed),
      updatedAt: new Date(0),
      ...more,
    },
  });
  return id;
}

describe("an enrollment", () => {
  it("is made, read, listed and deleted", async () => {
    const claimed = identity();
    const { status, body } = await claim(claimed);
    expect(status).toBe(201);
    expect(body).toMatchObject({
      enrollment_identity: claimed,
      account_id: bench.a.id,
      claimed_at: null,
      enrolled_device_id: null,
    });
    expect(Date.parse(body.expires_at) - Date.parse(body.created_at)).toBe(365 * 86_400_000);
    expect((await call("GET", `/${body.id}`)).body).toEqual(body);
    await claim(identity());
    await claim(identity());
    const page = (await call("GET", "/?limit=2")).body;
    expect(page).toMatchObject({ total_count: 3, has_more: true, data: [body, {}] });
    expect((await call("GET", `?limit=2&after=${page.data[1].id}`)).body.data).toHaveLength(1);
    expect((await call("DELETE", `/${body.id}`)).status).toBe(204);
    expect((await call("GET", `/${body.id}`)).status).toBe(404);
    expect((await claim(claimed)).status).toBe(201);
    const audit = await bench.db.auditEntry.findMany({
      where: { objectId: body.id },
      orderBy: { id: "asc" },
    });
    expect(audit.map(({ action }) => action)).toEqual(["enrollment.created", "enrollment.deleted"]);
  });

  it("takes a fingerprint, however it is written, once on the whole instance", async () => {
    const claimed = identity();
    expect((await claim(claimed)).status).toBe(201);
    for (const key of [bench.a.developer, bench.b.developer])
      for (const same of [claimed, `A-${claimed.slice(2).toLowerCase()}`]) {
        const { status, body } = await claim(same, key);
        expect([status, body.type]).toEqual([409, "duplicate"]);
      }
    for (const bad of [
      "",
      claimed.slice(0, -1),
      `${claimed}0`,
      claimed.replace("A-", "B-"),
      claimed.replace("A-", "A_"),
      claimed.replaceAll(":", "-"),
      ` ${claimed}`,
      `A-${"G".repeat(95)}`,
      null,
      7,
    ]) {
      const { status, body } = await claim(bad);
      expect([status, body.type], String(bad)).toEqual([400, "validation_error"]);
      expect(body.fields[0].name).toBe("enrollment_identity");
    }
  });

  it("that nobody came for in time is gone, and free for anybody", async () => {
    const claimed = identity();
    const { id } = (await claim(claimed)).body;
    await bench.db.enrollment.update({ where: { id }, data: { expiresAt: new Date(Date.now() - 1) } });
    expect((await call("GET", `/${id}`)).status).toBe(404);
    expect((await call("GET", "")).body.total_count).toBe(0);
    expect((await call("DELETE", `/${id}`)).status).toBe(404);
    expect((await claim(claimed, bench.b.developer)).status).toBe(201);
  });

  it("claims a device that is here already, and lets it go", async () => {
    const claimed = identity();
    const id = await device(bench.a.id, claimed);
    const { body } = await claim(claimed);
    expect(body).toMatchObject({ enrolled_device_id: id, claimed_at: body.created_at });
    const found = await bench.call(bench.a.developer, "GET", `/v3/devices/${id}`);
    expect(found.body.enrolment_list_timestamp).toBe(body.claimed_at);
    const at = encodeURIComponent(body.claimed_at);
    const listed = await bench.call(
      bench.a.developer,
      "GET",
      `/v3/devices?enrolment_list_timestamp__gte=${at}`,
    );
    expect(listed.body.data).toHaveLength(1);
    expect((await call("DELETE", `/${body.id}`)).status).toBe(204);
    const freed = await bench.call(bench.a.developer, "GET", `/v3/devices/${id}`);
    expect(freed.body.enrolment_list_timestamp).toBeNull();
    const events = await bench.db.deviceEvent.findMany({ where: { deviceId: id }, orderBy: { id: "asc" } });
    expect(events.map(({ type }) => type)).toEqual(["device.claimed", "device.unclaimed"]);
  });

  it("does not claim another account's device, unless both trust its CA for that", async () => {
    const claimed = identity();
    const ca = await bench.db.trustedCertificate.create({
      data: {
        id: newId(),
        accountId: bench.b.id,
        name: newId(),
        certificate: new Uint8Array(),
        fingerprint: newId(),
        subject: "CN=OEM",
        issuer: "CN=OEM",
        notBefore: new Date(0),
        notAfter: new Date(),
        createdBy: "test",
      },
    });
    await device(bench.b.id, claimed, { caId: ca.id });
    expect((await claim(claimed)).status).toBe(409);
    await bench.db.trustedCertificate.update({ where: { id: ca.id }, data: { enrollmentMode: true } });
    const { status, body } = await claim(claimed);
    expect([status, body.claimed_at]).toEqual([201, null]);
    // Developer certificates are shared: who has one of them has not this device.
    const shared = identity();
    await device(bench.b.id, shared, { executionMode: 1 });
    expect((await claim(shared)).status).toBe(201);
  });
});

const send = async (
  what: "uploads" | "deletes",
  csv: string | Uint8Array | null,
  key = bench.a.developer,
) => {
  const form = new FormData();
  if (csv !== null) form.append("enrollment_identities", new Blob([csv as string]), "list.csv");
  const response = await fetch(`${bench.url}/v3/device-enrollments-bulk-${what}`, {
    method: "POST",
    headers: { Authorization: `Bearer ${key}` },
    body: form,
  });
  return { status: response.status, body: (await response.json()) as Record<string, string> };
};
const done = (what: "uploads" | "deletes", id: string | undefined) =>
  vi.waitFor(async () => {
    const { body } = await bench.call(bench.a.developer, "GET", `/v3/device-enrollments-bulk-${what}/${id}`);
    expect(body.status).toBe("completed");
    return body;
  }, 15_000);
const report = async (url: string, key = bench.a.developer) => {
  expect(url.startsWith(`${bench.url}/v3/device-enrollments-bulk-`)).toBe(true);
  return bench.call(key, "GET", url.slice(bench.url.length));
};

describe("a list of enrollments", () => {
  it("is taken in, with a report on every line and one on what did not work", async () => {
    const [first, second, here, taken] = [identity(), identity(), identity(), identity()];
    const id = await device(bench.a.id, here);
    await claim(taken, bench.b.developer);
    const { status, body } = await send(
      "uploads",
      `the header\r\n${first}\n"${second}" , a note\n\n ,,\n${here}\n${taken}\r${first},again\n"no\tidentity, ""\n`,
    );
    expect(status).toBe(201);
    expect(body).toMatchObject({
      status: "new",
      total_count: 6,
      processed_count: 0,
      full_report_file: null,
      completed_at: null,
    });
    const job = await done("uploads", body.id);
    expect(job).toMatchObject({ total_count: 6, processed_count: 6, errors_count: 3 });
    const full = await report(job.full_report_file);
    expect(full.headers.get("content-type")).toBe("text/csv; charset=utf-8");
    const { createdAt } = await bench.db.enrollment.findUniqueOrThrow({ where: { identity: first } });
    const at = createdAt.toISOString();
    const invalid = full.text.split("\r\n")[6]?.split(",").slice(-2)[0];
    expect(full.text.split("\r\n")).toEqual([
      `"entity__id","entity__created_at","error__code","error__type","error__message","error__fields"`,
      `"${first}","${at}","","","",""`,
      `"${second}","${at}","","","",""`,
      `"${here}","${at}","","","",""`,
      `"${taken}","","409","duplicate","The enrollment identity is claimed already.",""`,
      `"${first}","","409","duplicate","The enrollment identity is claimed already.",""`,
      `"no\tidentity, ","","400","validation_error",${invalid},""`,
      "",
    ]);
    const errors = (await report(job.errors_report_file)).text.split("\r\n");
    expect(errors[0]).toBe(`"entity__id","error__code","error__type","error__message","error__fields"`);
    expect(errors[1]).toBe(`"${taken}","409","duplicate","The enrollment identity is claimed already.",""`);
    expect(errors).toHaveLength(5);
    expect((await call("GET", "")).body.total_count).toBe(3);
    const found = await bench.db.enrollment.findUniqueOrThrow({ where: { identity: here } });
    expect(found).toMatchObject({ deviceId: id, accountId: bench.a.id });
  });

  it("loses nothing when it has no header, and says what separates its values", async () => {
    const [first, second] = [identity(), identity()];
    for (const start of ["", "\ufeff", "\ufeffidentity,note\n"]) {
      const { body } = await send("uploads", `${start}${first},note\n${second}`);
      expect(await done("uploads", body.id)).toMatchObject({ total_count: 2, errors_count: 0 });
      const gone = await send("deletes", `${start}"${first}"\n${second}`);
      expect(await done("deletes", gone.body.id)).toMatchObject({ total_count: 2, errors_count: 0 });
    }
    // Somebody meant an identity: it is reported, not taken for a header.
    for (const bad of [first.replace("-", "_"), first.slice(2), first.slice(0, -3)]) {
      const { body } = await send("uploads", `${bad}\n${second}`);
      expect(await done("uploads", body.id)).toMatchObject({ total_count: 2 });
      await send("deletes", second).then(({ body }) => done("deletes", body.id));
    }
    for (const [separator, words] of [
      [";", "“;”"],
      [" ; ", "“;”"],
      ["|", "“|”"],
      ["\t", "a tab"],
      [" ", "a space"],
    ])
      for (const line of [`${second}${separator}note`, `"${second}"${separator}"note"`]) {
        const { status, body } = await send("uploads", `identity;note\n${first},x\n${line}\n`);
        expect([status, body.message]).toEqual([
          400,
          `enrollmentIdentities: separates values with ${words} (line 3): it has to be a comma`,
        ]);
      }
    expect((await send("uploads", `${first} \t , note\n${second}\t`)).status).toBe(201);
  });

  it("is deleted by another one", async () => {
    const [mine, unknown, others] = [identity(), identity(), identity()];
    await claim(mine);
    await claim(others, bench.b.developer);
    const { body } = await send(
      "deletes",
      `identity\n${mine.toLowerCase().replace("a-", "A-")}\n${unknown}\n${others}`,
    );
    const job = await done("deletes", body.id);
    expect(job).toMatchObject({ processed_count: 3, errors_count: 2 });
    const lines = (await report(job.full_report_file)).text.split("\r\n");
    expect(lines[0]).toContain(`"entity__deleted_at"`);
    expect(lines[1]).toMatch(/Z","","","",""$/);
    expect(lines[2]).toContain(`"${unknown}","","404","not_found"`);
    expect(await bench.db.enrollment.findMany()).toMatchObject([{ identity: others }]);
  });

  it("is nobody else's", async () => {
    const { body } = await send("uploads", `h\n${identity()}`);
    const job = await done("uploads", body.id);
    for (const path of [`uploads/${body.id}`, `uploads/${body.id}/full-report`, `deletes/${body.id}`]) {
      const other = path.startsWith("uploads") ? bench.b.admin : bench.a.admin;
      expect((await bench.call(other, "GET", `/v3/device-enrollments-bulk-${path}`)).status, path).toBe(404);
    }
    expect((await fetch(job.full_report_file)).status).toBe(401);
  });

  it("goes on where the last process stopped", async () => {
    await worker.close();
    const all = Array.from({ length: 5_004 }, identity);
    const { body } = await send("uploads", `h\n${all.join("\n")}`);
    const waiting = await bench.call(
      bench.a.developer,
      "GET",
      `/v3/device-enrollments-bulk-uploads/${body.id}`,
    );
    expect(waiting.body.status).toBe("new");
    const early = await bench.call(
      bench.a.developer,
      "GET",
      `/v3/device-enrollments-bulk-uploads/${body.id}/full-report`,
    );
    expect([early.status, early.body.type]).toEqual([404, "report_not_found"]);
    // As if the process had died behind the first two.
    await bench.db.enrollmentJob.update({
      where: { id: body.id ?? "" },
      data: { status: "processing", processed: 2, errors: 1, fullReport: Buffer.from("0 dr\n") },
    });
    worker = startWorker();
    const job = await done("uploads", body.id);
    expect(job).toMatchObject({ processed_count: 5_004, errors_count: 1 });
    const text = (await report(job.full_report_file)).text.split("\r\n");
    expect(text[1]).toContain('"1970-01-01T00:00:00.000Z"');
    expect(text[2]).toContain('"duplicate"');
    expect(text.slice(1, -1).map((line) => line.slice(1, 98))).toEqual(all);
    expect(await bench.db.enrollment.count()).toBe(5_002);
    expect(await bench.db.enrollmentInput.count()).toBe(0);
  });

  it("is refused in words when it is none", async () => {
    for (const csv of [null, "", "header only", "h\n,\n \n", Buffer.from([0x68, 0x0a, 0xff])]) {
      const { status, body } = await send("uploads", csv);
      expect([status, body.type], String(csv)).toEqual([400, "validation_error"]);
    }
    const lines = await send("uploads", `h\n${"x\n".repeat(200_001)}`);
    expect([lines.status, lines.body.message]).toEqual([400, expect.stringContaining("200000 lines")]);
    const long = await send("uploads", "x".repeat(10_000_001));
    expect(long.status).toBe(400);
    expect((await send("uploads", "x".repeat(10_200_000))).status).toBe(413);
    const raw = (type: string, body: string) =>
      fetch(`${bench.url}/v3/device-enrollments-bulk-uploads`, {
        method: "POST",
        headers: { Authorization: `Bearer ${bench.a.developer}`, "Content-Type": type },
        body,
      });
    expect((await raw("text/csv", "x")).status).toBe(415);
    expect((await raw("multipart/form-data", "x")).status).toBe(400);
    expect((await raw("multipart/form-data; boundary=b", "x")).status).toBe(400);
    expect((await raw("multipart/form-data; boundary=b", "--b".repeat(100))).status).toBe(400);
    expect((await raw("multipart/form-data; boundary=b", "--b\r\n\r\n\r\n--b--")).status).toBe(400);
    expect((await raw("multipart/form-data; boundary=b", "")).status).toBe(400);
  });

  it("waits when there are many", async () => {
    await worker.close();
    for (let n = 0; n < 20; n++) expect((await send("uploads", `h\n${identity()}`)).status).toBe(201);
    expect((await send("uploads", `h\n${identity()}`)).status).toBe(403);
    expect((await send("uploads", `h\n${identity()}`, bench.b.developer)).status).toBe(201);
    worker = startWorker();
    await vi.waitFor(async () =>
      expect(await bench.db.enrollmentJob.count({ where: { status: { not: "completed" } } })).toBe(0),
    );
  });
});

describe("denials", () => {
  it("are the devices that were turned away by a certificate", async () => {
    const trusted = newId();
    const knock = async (accountId: string, data: object, type = "handshake.failed") => {
      const id = newId();
      const common = { category: "connection", outcome: "FAIL", description: "", at: new Date() };
      await bench.db.deviceEvent.create({
        data: { id, accountId, type, data: JSON.stringify(data), ...common },
      });
      return id;
    };
    const first = await knock(bench.a.id, { trustedCertificateId: trusted, endpointName: "one" });
    await knock(bench.a.id, { trustedCertificateId: trusted, endpointName: "two" }, "bootstrap.refused");
    const nameless = await knock(bench.a.id, { trustedCertificateId: trusted });
    await knock(bench.a.id, { trustedCertificateId: newId(), endpointName: "one" });
    await knock(bench.b.id, { trustedCertificateId: trusted, endpointName: "one" });
    const list = (query: string) =>
      bench.call(bench.a.developer, "GET", `/v3/device-enrollment-denials?${query}`);
    const all = await list(`trusted_certificate_id__eq=${trusted}&include=total_count`);
    expect(all.body).toMatchObject({ total_count: 2, data: [{ id: first, endpoint_name: "one" }, {}] });
    const two = await list(`trusted_certificate_id__eq=${trusted}&endpoint_name__eq=two`);
    expect(two.body.data).toMatchObject([{ object: "denied_device", trusted_certificate_id: trusted }]);
    expect((await list("endpoint_name__eq=two")).status).toBe(400);
    const one = (id: string) => bench.call(bench.a.developer, "GET", `/v3/device-enrollment-denials/${id}`);
    expect((await one(first)).body).toEqual(all.body.data[0]);
    expect((await one(nameless)).status).toBe(404);
  });
});
