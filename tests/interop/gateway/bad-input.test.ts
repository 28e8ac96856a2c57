import { randomFillSync } from "node:crypto";
import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { connect as connectNet } from "node:net";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { systemClock } from "@/server/clock";
import { CoapEndpoint, type RequestHandler } from "@/server/coap";
import { readBundle } from "@/server/pki";
import { createDeveloperCertificate } from "@/server/services/certificates/create-developer";
import { removeCertificate } from "@/server/services/certificates/remove";
import { takeBundle } from "@/server/services/certificates/take-bundle";
import { actAs } from "@/server/services/create-context";
import { removeDevice } from "@/server/services/devices/remove";
import { connectDtls, connectTls, type Peer, type ServerCredentials } from "@/server/transport";
import { type BootstrappedDevice, createBootstrappedDevices } from "../../support/lwm2m-device";
import { option, RawDevice, uint } from "../../support/raw-device";
import { startTestGateway, type TestGateway } from "../../support/test-gateway";

/*
 * What strangers, broken devices and devices at the wrong door get: an answer where the protocol has one, an event that
 * names the cause, nothing half-written, and a gateway that goes on.
 */

const LINKS = "</1/0>,</3/0>,</3303/0>";

let gateway: TestGateway;
let issued: BootstrappedDevice[] = [];
const closers: (() => void)[] = [];

beforeAll(async () => {
  gateway = await startTestGateway();
  issued = await createBootstrappedDevices(gateway.context, gateway.accountId, 6);
  await gateway.restart();
}, 30_000);
afterAll(() => gateway?.close());
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

async function eventually<T>(
  probe: () => Promise<T | undefined | false> | T | undefined | false,
): Promise<T> {
  for (let waited = 0; waited < 8000; waited += 10) {
    const found = await probe();
    if (found) return found;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  throw new Error("It did not happen.");
}

/** Waits for an event of this type with this text, of any device or of nobody. */
const event = (type: string, text: string) =>
  eventually(async () =>
    (await gateway.events()).findLast((one) => one.type === type && one.text.includes(text)),
  );

async function developer(name: string) {
  const ctx = actAs(gateway.context, { kind: "operator", accountId: gateway.accountId });
  const { id } = await createDeveloperCertificate(ctx, { name });
  const at = (scheme: "coaps" | "coaps+tcp") => `${scheme}://127.0.0.1:${gateway.port("bootstrap", scheme)}`;
  const { zip } = await takeBundle(ctx, {
    id,
    uris: { bootstrap: { udp: at("coaps"), tcp: at("coaps+tcp") } },
  });
  const bundle = readBundle(zip);
  const credentials = { chain: [bundle.certificate], privateKey: bundle.privateKey };
  return { id, endpointName: bundle.endpointName, credentials, ctx };
}

async function connect(
  service: "bootstrap" | "lwm2m",
  credentials: ServerCredentials | undefined,
  transport: "dtls" | "tls" = "dtls",
  handler: RequestHandler = () => ({ code: "4.04" }),
) {
  const peer: Peer = await (transport === "dtls" ? connectDtls : connectTls)({
    host: "127.0.0.1",
    port: gateway.port(service, transport === "dtls" ? "coaps" : "coaps+tcp"),
    ca: [issued[0]!.serverCa],
    clock: systemClock,
    ...(credentials && { credentials }),
  });
  closers.push(() => peer.close());
  const coap = new CoapEndpoint({ clock: systemClock, handler });
  coap.attach(peer, { initiator: transport === "tls" });
  const post = async (path: string, query: readonly string[], payload = "") => {
    const answer = await coap.request(peer, {
      method: "POST",
      path: path.split("/"),
      query,
      payload: Buffer.from(payload),
    });
    return {
      code: answer.code,
      text: Buffer.from(answer.payload).toString(),
      location: answer.locationPath.join("/"),
    };
  };
  return { peer, post };
}

describe("certificates", () => {
  it.each(["dtls", "tls"] as const)(
    "nobody knows the certificate, or there is none (%s)",
    async (transport) => {
      const stranger = await createStranger();
      for (const service of ["bootstrap", "lwm2m"] as const) {
        await expect(connect(service, stranger, transport).then(used)).rejects.toThrow(/unknown_ca/);
        await expect(connect(service, undefined, transport).then(used)).rejects.toThrow(
          /handshake_failure|certificate_required/,
        );
      }
      await event("handshake.failed", "not among the trusted certificates");
      await event("handshake.failed", "sent no certificate");
    },
  );

  it("each service says whose certificate is for the other one", async () => {
    const { credentials } = await developer("at the wrong door");
    await expect(connect("lwm2m", credentials)).rejects.toThrow(/unknown_ca/);
    await event("handshake.failed", "rests on “at the wrong door” and is for the bootstrap service");
    await expect(connect("bootstrap", issued[0]!.credentials)).rejects.toThrow(/unknown_ca/);
    await event("handshake.failed", "is for the LwM2M service");
  });

  it("a name that is another device's is refused at both services", async () => {
    const [one, other] = [await developer("one"), await developer("other")];
    const known = await connect("bootstrap", one.credentials);
    expect((await known.post("bs", [`ep=${one.endpointName}`])).code).toBe("2.04");
    const device = await gateway.db.device.findFirstOrThrow({ where: { endpointName: one.endpointName } });
    const posing = await connect("bootstrap", other.credentials);
    const count = await gateway.db.device.count();
    expect(await posing.post("bs", [`ep=${one.endpointName}`])).toMatchObject({ code: "4.03" });
    await event("bootstrap.refused", "does not fit the certificate");
    expect(await posing.post("bs", [`iep=${device.id}`, "mccv=4.13.2"])).toMatchObject({ code: "4.03" });
    await event("bootstrap.refused", "came in by another certificate");
    expect(await posing.post("bs", [`aid=${"e".repeat(32)}`])).toMatchObject({ code: "4.03" });
    await event("bootstrap.refused", "another account");
    expect(await gateway.db.device.count()).toBe(count);

    const registering = await connect("lwm2m", issued[0]!.credentials);
    const answer = await registering.post("rd", [`ep=${issued[1]!.endpointName}`, "lwm2m=1.1"], LINKS);
    expect(answer).toMatchObject({ code: "4.03", text: expect.stringContaining(issued[0]!.endpointName) });
    await event("registration.refused", issued[1]!.endpointName);
    expect(
      await gateway.db.registration.count({ where: { deviceId: { in: issued.map(({ id }) => id) } } }),
    ).toBe(0);
  });

  it("a location is not that of another device", async () => {
    const first = await connect("lwm2m", issued[0]!.credentials);
    const { location } = await first.post("rd", ["lwm2m=1.1"], LINKS);
    const second = await connect("lwm2m", issued[1]!.credentials);
    expect(await second.post(location, [])).toMatchObject({ code: "4.04" });
    expect(await first.post(location, [])).toMatchObject({ code: "2.04" });
  });

  it.each(["dtls", "tls"] as const)("a device is deleted while it is connected (%s)", async (transport) => {
    const device = transport === "dtls" ? issued[2]! : issued[3]!;
    const { peer, post } = await connect("lwm2m", device.credentials, transport);
    expect((await post("rd", ["lwm2m=1.1"], LINKS)).code).toBe("2.01");
    await removeDevice(actAs(gateway.context, { kind: "operator", accountId: gateway.accountId }), {
      id: device.id,
    });
    await eventually(() => peer.closed);
    const again = await connect("lwm2m", device.credentials, transport);
    expect(await again.post("rd", ["lwm2m=1.1"], LINKS)).toMatchObject({
      code: "4.03",
      text: expect.stringContaining("bootstrap"),
    });
    await event("registration.refused", "not in the directory");
  });

  it("a certificate is deleted while its devices are connected", async () => {
    const { ctx } = await developer("unused");
    const caId = (await gateway.db.device.findUniqueOrThrow({ where: { id: issued[4]!.id } })).caId;
    const { peer, post } = await connect("lwm2m", issued[4]!.credentials);
    expect((await post("rd", ["lwm2m=1.1"], LINKS)).code).toBe("2.01");
    await removeCertificate(ctx, { id: caId ?? "" });
    await eventually(() => peer.closed);
    const again = await connect("lwm2m", issued[4]!.credentials);
    expect((await again.post("rd", ["lwm2m=1.1"], LINKS)).code).toBe("4.03");
    await event("registration.refused", "no longer trusted");
    expect(await gateway.db.device.count({ where: { id: issued[4]!.id } })).toBe(1);
  });
});

/** A certificate by its own hand. */
async function createStranger(): Promise<ServerCredentials> {
  const { createDeveloperCertificate: create } = await import("@/server/pki");
  const { certificate, privateKey } = create({ accountId: "e".repeat(32), endpointName: "stranger" });
  return { chain: [certificate], privateKey };
}

/** In TLS 1.3 a client hears of its refusal only after it thinks that it is connected. */
async function used({ peer, post }: Awaited<ReturnType<typeof connect>>): Promise<never> {
  let reason = "";
  const before = peer.onclose;
  peer.onclose = (why) => {
    reason = why;
    before?.(why);
  };
  await post("bs", []).catch(() => {});
  throw new Error(reason);
}

describe("messages", () => {
  async function registered(endpointName: string) {
    const device = await RawDevice.open(gateway.port("lwm2m", "coap"));
    closers.push(() => device.close());
    const answer = await device.ask({
      path: "rd",
      query: [`ep=${endpointName}`, "lwm2m=1.1"],
      payload: LINKS,
    });
    expect(answer.code).toBe("2.01");
    const { id } = await gateway.db.device.findFirstOrThrow({ where: { endpointName } });
    const read = (path: string) =>
      gateway.bus.request("device.read", { accountId: gateway.accountId, deviceId: id, path });
    return { device, id, read, location: answer.location };
  }

  it("what is not CoAP is reset where it can be, told, and forgotten", async () => {
    const { device, location } = await registered("garbage");
    // Confirmable, with a token length that does not exist.
    device.raw(Buffer.from("4f021234ff", "hex"));
    await eventually(() => device.others.find(({ reset, messageId }) => reset && messageId === 0x1234));
    await event("request.malformed", "malformed CoAP message");
    for (const bytes of ["", "40", "ff", "00000000", "4001", "60ff0000", "c0010000", "4202123441"])
      device.raw(Buffer.from(bytes, "hex"));
    expect((await device.ask({ path: location })).code).toBe("2.04");
  });

  it.each([
    ["a truncated TLV", 11_542, "c80014"],
    ["a TLV of another object", 11_542, "08000100"],
    ["JSON that breaks off", 110, Buffer.from('[{"bn":"/3/0/0","vs":"x').toString("hex")],
    ["CBOR that breaks off", 112, "81a2"],
    ["a format nobody knows", 4711, "00"],
    ["text that is no number", 0, Buffer.from("warm").toString("hex")],
  ])("%s in an answer is told to who asked", async (_what, format, payload) => {
    const { device, read, id } = await registered(`answers-${format}-${payload.slice(0, 4)}`);
    device.answer = () => ({
      code: "2.05",
      payload: Buffer.from(payload, "hex"),
      options: [option("Content-Format", uint(format))],
    });
    const result = await read("/3303/0/5700");
    expect(result).toMatchObject({ ok: false, values: [] });
    expect(result.message).not.toBe("");
    await event("resource.failed", "/3303/0/5700");
    expect(await gateway.db.resourceValue.count({ where: { deviceId: id } })).toBe(0);
  });

  it("blocks that are missing: 4.08 from us, a failure in words from them", async () => {
    const { device, read, location } = await registered("blocks");
    const third = await device.ask({
      path: location,
      payload: Buffer.alloc(16, "x"),
      options: [option("Block1", Buffer.from([0x20]))],
    });
    expect(third.code).toBe("4.08");
    expect((await device.ask({ path: location })).code).toBe("2.04");
    device.answer = (request) => {
      const block = request.options.find(({ name }) => name === "Block2");
      return {
        code: "2.05",
        payload: Buffer.alloc(16, "x"),
        options: [option("Content-Format", uint(0)), option("Block2", Buffer.from([block ? 0x38 : 0x08]))],
      };
    };
    expect(await read("/3/0/0")).toMatchObject({ ok: false, message: expect.stringContaining("blocks") });
  });

  it("a reset is an answer too", async () => {
    const { device, read } = await registered("resets");
    device.answer = () => null;
    const reading = read("/3/0/0");
    const request = await eventually(() => device.requests[0]);
    device.send({ code: "0.00", reset: true, messageId: request.messageId });
    expect(await reading).toMatchObject({ ok: false, message: expect.stringContaining("reset") });
  });

  it("a device with a key of an enrolment that broke off gets a key, though others come first", async () => {
    const { credentials } = await developer("half-made key");
    const bootstrap = async (answer: (payload: Uint8Array) => "2.04" | "4.00") => {
      const written: Buffer[] = [];
      const { post } = await connect("bootstrap", credentials, "dtls", ({ method, path, payload }) => {
        if (method === "PUT" && path[0] === "0") written.push(Buffer.from(payload));
        return { code: method === "DELETE" ? "2.02" : path[0] === "0" ? answer(payload) : "2.04" };
      });
      expect((await post("bs", ["mccv=4.13.2"])).code).toBe("2.04");
      // Resource 2, the security mode: an integer of one byte.
      return (await eventually(() => written[0])).includes(Buffer.from([0xc1, 2, 4])) ? "est" : "certificate";
    };
    expect(await bootstrap(() => "4.00")).toBe("est");
    await event("bootstrap.failed", "4.00");
    for (let device = 0; device < 3; device++) expect(await bootstrap(() => "2.04")).toBe("certificate");
  });

  it("a bootstrap that the device gives up leaves no credentials behind", async () => {
    const { credentials, endpointName } = await developer("interrupted");
    const { peer, post } = await connect("bootstrap", credentials, "tls");
    expect((await post("bs", [])).code).toBe("2.04");
    peer.close();
    await event("bootstrap.failed", "");
    const device = await gateway.db.device.findFirstOrThrow({ where: { endpointName } });
    expect(device).toMatchObject({ state: "cloud_enrolling", deviceKey: null });
  });
});

describe("connections", () => {
  it("noise at every port changes nothing", async () => {
    const noise = (length: number) =>
      Buffer.from(Array.from({ length }, (_, n) => (n * 7919 + length * 31) & 0xff));
    for (const service of ["bootstrap", "lwm2m"] as const) {
      const socket = createSocket("udp4");
      closers.push(() => socket.close());
      for (const scheme of ["coap", "coaps"] as const)
        for (let length = 0; length < 1500; length += 7)
          socket.send(noise(length), gateway.port(service, scheme), "127.0.0.1");
      for (const scheme of ["coap+tcp", "coaps+tcp"] as const) {
        const tcp = connectNet(gateway.port(service, scheme), "127.0.0.1");
        await once(tcp, "connect");
        tcp.end(noise(1000));
        tcp.resume();
        await once(tcp, "close");
      }
    }
    const { post } = await connect("lwm2m", issued[5]!.credentials);
    expect((await post(".well-known", [])).code).toBe("4.04");
  });

  it("half a handshake, as often as anybody likes, keeps nobody out", async () => {
    const port = gateway.port("lwm2m", "coaps");
    const hello = await firstHello();
    const before = process.memoryUsage().rss;
    const open = Array.from({ length: 50 }, () => createSocket("udp4"));
    closers.push(() => {
      for (const socket of open) socket.close();
    });
    // Without the cookie: costs nothing. With it: more than are kept at a time.
    for (let n = 0; n < 5000; n++) {
      const copy = Buffer.from(hello);
      copy.writeUInt32BE(n, 30);
      open[n % open.length]?.send(copy, port, "127.0.0.1");
      if (n % 250 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    for (let n = 0; n < 1100; n += 50)
      await Promise.all(Array.from({ length: 50 }, () => halfHandshake(hello, port)));
    const { post } = await connect("lwm2m", issued[5]!.credentials);
    expect((await post("rd", ["lwm2m=1.1"], LINKS)).code).toBe("4.03");
    expect(process.memoryUsage().rss - before).toBeLessThan(250e6);
    await event("handshake.failed", "too many handshakes");
  });

  it("a TLS client that says nothing more is let go", async () => {
    const tcp = connectNet(gateway.port("lwm2m", "coaps+tcp"), "127.0.0.1");
    closers.push(() => tcp.destroy());
    await once(tcp, "connect");
    tcp.write(Buffer.from("16030100a0", "hex"));
    tcp.resume();
    let closed = false;
    tcp.once("close", () => {
      closed = true;
    });
    await new Promise((resolve) => setTimeout(resolve, 50));
    for (let n = 0; n < 40; n++) gateway.clock.jump(1000);
    await eventually(() => closed);
    await event("handshake.failed", "fell silent");
  });
});

/** The ClientHello with which a client would begin. */
async function firstHello(): Promise<Buffer> {
  const socket = createSocket("udp4");
  socket.bind(0, "127.0.0.1");
  await once(socket, "listening");
  const caught = once(socket, "message") as Promise<[Buffer]>;
  const { port } = socket.address();
  connectDtls({
    host: "127.0.0.1",
    port,
    ca: [issued[0]!.serverCa],
    clock: systemClock,
    timeoutMs: 500,
  }).catch(() => {});
  const [hello] = await caught;
  socket.close();
  return hello;
}

/** Goes as far as the server's first flight [RFC6347 §4.2.1], and no further. */
async function halfHandshake(like: Buffer, port: number): Promise<void> {
  const hello = Buffer.from(like);
  // A random of its own, since a port may come back.
  randomFillSync(hello, 27, 32);
  const socket = createSocket("udp4");
  const answer = await exchange(socket, hello, port);
  const cookie = answer.subarray(28, 28 + answer.readUInt8(27));
  // Record header 13, handshake header 12, version 2, random 32; then session id and cookie.
  const at = 59 + 1 + hello.readUInt8(59);
  const second = Buffer.concat([
    hello.subarray(0, at),
    Buffer.of(cookie.length),
    cookie,
    hello.subarray(at + 1),
  ]);
  second.writeUInt16BE(second.length - 13, 11);
  second.writeUIntBE(second.length - 25, 14, 3);
  second.writeUIntBE(second.length - 25, 22, 3);
  second.writeUInt16BE(1, 17);
  second.writeUIntBE(1, 5, 6);
  await exchange(socket, second, port);
  socket.close();
}

/** Sends until there is an answer: a flood loses datagrams. */
async function exchange(socket: Socket, datagram: Buffer, port: number): Promise<Buffer> {
  const answered = once(socket, "message") as Promise<[Buffer]>;
  const send = () => socket.send(datagram, port, "127.0.0.1");
  send();
  const again = setInterval(send, 100);
  const [answer] = await answered;
  clearInterval(again);
  return answer;
}
