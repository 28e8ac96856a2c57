import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { systemClock } from "@/server/clock";
import { CoapEndpoint, type CoapResponse, type IncomingRequest, type OutgoingResponse } from "@/server/coap";
import { type RunningDevices, runDevices } from "@/server/device";
import { boolean, encodeObjectInstance, integer, string } from "@/server/lwm2m";
import {
  createDeveloperCertificate,
  createRootAuthority,
  createServerCertificate,
  DeviceCertificateIssuer,
  developerBundle,
  fingerprint,
  parseCertificate,
} from "@/server/pki";
import { type Listener, listenDtls, listenTls, type Peer, type Verifier } from "@/server/transport";

const DEVICE_ID = "0191".padEnd(32, "a");
const ACCOUNT = "0190".padEnd(32, "0");
const TLV = 11542;

const closers: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

/** Waits until something is there; the network keeps its own time. */
async function eventually<T>(probe: () => T | null | undefined | false): Promise<T> {
  for (let waited = 0; waited < 10_000; waited += 5) {
    const found = probe();
    if (found) return found;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  throw new Error("It did not happen within 10 s.");
}

/** A bootstrap server and a LwM2M server on the real transports, as small as they can be. */
async function servers(transport: "udp" | "tcp") {
  const root = createRootAuthority("Network test CA");
  const issuer = new DeviceCertificateIssuer(root);
  const own = createServerCertificate(root, { hosts: ["localhost"], days: 1 });
  const credentials = { chain: [own.certificate], privateKey: own.privateKey };
  const developer = createDeveloperCertificate({ accountId: ACCOUNT, endpointName: "dev-endpoint" });
  const seen: { service: string; request: IncomingRequest; peer: Peer }[] = [];
  const state = {
    refuseCertificates: false,
    lwm2mPort: 0,
    endpoints: {} as Record<"bs" | "lwm2m", CoapEndpoint>,
  };

  const serve = async (
    service: "bs" | "lwm2m",
    verify: Verifier,
    answer: (request: IncomingRequest) => OutgoingResponse,
  ) => {
    const coap = new CoapEndpoint({
      clock: systemClock,
      handler: (request) => {
        seen.push({ service, request, peer: request.peer });
        return answer(request);
      },
    });
    state.endpoints[service] = coap;
    const listen = transport === "tcp" ? listenTls : listenDtls;
    const listener: Listener = await listen({
      host: "127.0.0.1",
      port: 0,
      credentials,
      verify,
      onpeer: (peer) => coap.attach(peer),
      onfailure: () => {},
      clock: systemClock,
    });
    closers.push(() => listener.close());
    return listener.local.port;
  };

  const scheme = transport === "tcp" ? "coaps+tcp" : "coaps";
  const isDeveloper = fingerprint(developer.certificate);
  const bootstrapPort = await serve(
    "bs",
    ([leaf]) =>
      leaf && fingerprint(leaf) === isDeveloper
        ? { ok: true, identity: {} }
        : { ok: false, fault: "unknown_ca", message: "a stranger" },
    ({ peer }) => ({ code: "2.04", sent: () => void session(peer) }),
  );
  const session = async (peer: Peer) => {
    const coap = state.endpoints.bs;
    const issued = issuer.issue({
      deviceId: DEVICE_ID,
      accountId: ACCOUNT,
      endpointName: "dev-endpoint",
      notAfter: new Date(Date.now() + 86_400_000),
    });
    const codes: string[] = [];
    const step = async (request: Parameters<CoapEndpoint["request"]>[1]) =>
      codes.push((await coap.request(peer, request)).code);
    await step({
      method: "PUT",
      path: ["0"],
      contentFormat: TLV,
      blockSize: 512,
      payload: encodeObjectInstance(0, 0, [
        { id: 0, value: string(`${scheme}://127.0.0.1:${state.lwm2mPort}?aid=${ACCOUNT}`) },
        { id: 1, value: boolean(false) },
        { id: 2, value: integer(2) },
        { id: 3, value: issued.certificate },
        { id: 4, value: root.certificate },
        { id: 5, value: issued.privateKey as Uint8Array },
        { id: 10, value: integer(1) },
      ]),
    });
    await step({
      method: "PUT",
      path: ["1"],
      contentFormat: TLV,
      payload: encodeObjectInstance(1, 0, [
        { id: 0, value: integer(1) },
        { id: 1, value: integer(300) },
      ]),
    });
    await step({ method: "POST", path: ["bs"], query: [`iep=${DEVICE_ID}`] });
    expect(codes).toEqual(["2.04", "2.04", "2.04"]);
  };
  state.lwm2mPort = await serve(
    "lwm2m",
    ([leaf]) =>
      !state.refuseCertificates && leaf && parseCertificate(leaf).subject.l === DEVICE_ID
        ? { ok: true, identity: {} }
        : { ok: false, fault: "certificate_revoked", message: "not any longer" },
    ({ method, path }) =>
      method === "DELETE"
        ? { code: "2.02" }
        : path.length === 1
          ? { code: "2.01", locationPath: ["rd", ACCOUNT, DEVICE_ID] }
          : { code: "2.04" },
  );

  const uri = `://127.0.0.1:${bootstrapPort}`;
  const bundle = developerBundle({
    endpointName: "dev-endpoint",
    accountId: ACCOUNT,
    bootstrapUri: { udp: `coaps${uri}`, tcp: `coaps+tcp${uri}` },
    certificate: developer.certificate,
    privateKey: developer.privateKey,
    serverCa: root.certificate,
  });
  return { bundle, seen, state };
}

async function run(
  bundle: Uint8Array,
  transport: "udp" | "tcp",
  warnings: string[] = [],
): Promise<RunningDevices> {
  const stateDir = await mkdtemp(join(tmpdir(), "gangway-network-"));
  closers.push(() => rm(stateDir, { recursive: true, force: true }));
  const devices = await runDevices({
    bundle,
    transport,
    stateDir,
    log: { info() {}, warn: (message) => warnings.push(message) },
    tickMs: 20,
    backoff: { firstMs: 50, maxMs: 200 },
  });
  closers.push(() => devices.stop());
  return devices;
}

describe.each(["udp", "tcp"] as const)("the reference device over %s with security", (transport) => {
  test("bootstraps, registers, is read and observed, and says good-bye", async () => {
    const { bundle, seen, state } = await servers(transport);
    const devices = await run(bundle, transport);
    await devices.registered;
    expect(devices.devices[0]?.deviceId).toBe(DEVICE_ID);
    const register = seen.find((one) => one.service === "lwm2m")!;
    expect(register.request.query).toContain("ep=dev-endpoint");

    const coap = state.endpoints.lwm2m;
    const read = await coap.request(register.peer, { method: "GET", path: ["3", "0", "0"] });
    expect([read.code, Buffer.from(read.payload).toString()]).toEqual(["2.05", "Gangway"]);

    const told: CoapResponse[] = [];
    const observation = await coap.observe(
      register.peer,
      { method: "GET", path: ["3303", "0", "5700"] },
      (one) => told.push(one),
    );
    expect(observation.first.observe).not.toBe(null);
    await eventually(() => told.length >= 3);
    expect(new Set(told.map((one) => Buffer.from(one.payload).toString())).size).toBeGreaterThan(1);
    await observation.cancel();

    await devices.stop();
    expect(seen.at(-1)?.request.method).toBe("DELETE");
    expect(seen.at(-1)?.request.path).toEqual(["rd", ACCOUNT, DEVICE_ID]);
  });

  test("falls back to bootstrap when its certificate is refused, and keeps its ID", async () => {
    const { bundle, seen, state } = await servers(transport);
    const warnings: string[] = [];
    const devices = await run(bundle, transport, warnings);
    await devices.registered;
    const register = seen.find((one) => one.service === "lwm2m")!;
    const device = devices.devices[0]!;

    state.refuseCertificates = true;
    const coap = state.endpoints.lwm2m;
    expect((await coap.request(register.peer, { method: "POST", path: ["3", "0", "4"] })).code).toBe("2.04");
    const again = await eventually(
      () => seen.filter((one) => one.service === "bs" && one.request.query.length > 0)[1],
    );
    expect(again.request.query).toContain(`iep=${DEVICE_ID}`);
    expect(warnings.join("\n")).toMatch(/certificate_revoked.* Bootstrapping again\./);
    state.refuseCertificates = false;
    await eventually(
      () =>
        seen.filter((one) => one.request.path.join() === "rd").length > 1 && device.phase === "registered",
    );
    expect(device.deviceId).toBe(DEVICE_ID);
  });

  test("a stranger hears why nobody lets it in", async () => {
    const here = await servers(transport);
    const elsewhere = await servers(transport);
    const { strFromU8, strToU8, unzipSync, zipSync } = await import("fflate");
    const files = unzipSync(here.bundle);
    const facts = JSON.parse(strFromU8(files["gangway.json"]!));
    facts.bootstrapUri = JSON.parse(strFromU8(unzipSync(elsewhere.bundle)["gangway.json"]!)).bootstrapUri;
    const warnings: string[] = [];
    await run(zipSync({ "gangway.json": strToU8(JSON.stringify(facts)) }), transport, warnings);
    await eventually(() => warnings[0]);
    expect(warnings[0]).toMatch(/certificate .* was refused/);
  });
});
