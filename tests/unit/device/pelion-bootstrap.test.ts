import "reflect-metadata";
import { X509Certificate } from "node:crypto";
import * as x509 from "@peculiar/x509";
import { afterEach, describe, expect, test } from "vitest";
import type { PelionDevice, PelionOptions } from "@/server/device";
import { boolean, encodeObjectInstance, encodeResources, integer, string, time } from "@/server/lwm2m";
import { parseCertificateRequest } from "@/server/pki";
import { FakeClock } from "../../support/fake-clock";
import {
  ACCOUNT,
  type Connection,
  DEVICE_ID,
  ENDPOINT,
  factory,
  MemoryStore,
  optionsOf,
  PelionServer,
  type Running,
  refusal,
  startPelion,
  TLV,
} from "./pelion-server";

const devices: PelionDevice[] = [];
afterEach(async () => {
  for (const device of devices.splice(0)) await device.stop();
});

function start(options: Partial<PelionOptions> = {}, prepare?: (server: PelionServer) => void): Running {
  const running = startPelion(options, prepare);
  devices.push(running.device);
  return running;
}

/** A device with a bootstrap session under way that a test leads itself. */
async function session(prepare: (server: PelionServer) => void = () => {}) {
  let connection: Connection | null = null;
  const all = start({}, (server) => {
    prepare(server);
    server.session = async (one) => {
      connection = one;
    };
  });
  await all.server.until(() => connection !== null);
  await all.server.turns();
  return { ...all, connection: connection as unknown as Connection };
}

const account = (server: PelionServer, change = {}) => encodeObjectInstance(0, 0, server.security(change));

describe("the request to bootstrap", () => {
  test("has the odd form of the client", async () => {
    const { server } = start();
    await server.until(() => server.bootstraps.length > 0 && server.bootstraps[0]!.heard.length > 0);
    const request = server.bootstraps[0]!.heard[0]!;
    expect(request).toMatchObject({ code: "0.02", confirmable: true, path: "/bs", text: "" });
    expect(request.token).toHaveLength(4);
    expect(request.query).toEqual([`ep=${ENDPOINT}`, `aid=${ACCOUNT}`, "mccv=4.13.2"]);
    expect(optionsOf(request, "Max-Age")).toEqual([Buffer.alloc(0)]);
    expect(optionsOf(request, "Content-Format")).toEqual([Buffer.alloc(0)]);
  });

  test("names the device ID once there is one, behind what the URI has", async () => {
    const server = new PelionServer(new FakeClock());
    const items = { ...factory(server), internalEndpoint: DEVICE_ID };
    const running = startPelion({ store: new MemoryStore(items) }, () => {}, server);
    devices.push(running.device);
    await server.until(() => running.device.phase === "registered");
    expect(server.bootstraps[0]!.heard[0]!.query).toEqual([
      `ep=${ENDPOINT}`,
      `aid=${ACCOUNT}`,
      `iep=${DEVICE_ID}`,
      "mccv=4.13.2",
    ]);
    // It becomes part of the stored URI, and is not appended a second time.
    expect(running.store.items?.bootstrap.uri).toBe(
      `coaps://gangway.example:5784?aid=${ACCOUNT}&iep=${DEVICE_ID}`,
    );
  });

  test.each(["4.00", "4.01", "4.03", "4.04", "4.05", "4.06", "5.00", "5.03"])(
    "is tried again after %s, 13 s later and then ever later up to 4 hours",
    async (code) => {
      const { server, clock, device } = start({}, (one) => {
        one.intercept = (connection, request) => {
          connection.reply(request, code, { payload: "no" });
          return true;
        };
      });
      await server.until(() => device.phase === "waiting");
      expect(server.bootstraps[0]!.open).toBe(false);
      await clock.advance(24 * 3_600_000);
      const gaps = server.bootstraps.slice(1).map(({ at }, n) => (at - server.bootstraps[n]!.at) / 1000);
      const doubled = Array.from({ length: 11 }, (_, n) => 13 * 2 ** n);
      expect(gaps.slice(0, 11)).toEqual(doubled);
      expect(new Set(gaps.slice(11))).toEqual(new Set([14_400]));
    },
  );

  test.each(["4.02", "4.08", "4.12", "4.13", "4.15"])(
    "leaves the device stuck after %s, until half an hour is over",
    async (code) => {
      const { server, clock, device } = start({}, (one) => {
        one.intercept = (connection, request) => {
          connection.reply(request, code);
          return true;
        };
      });
      await server.until(() => device.phase === "stuck");
      await clock.advance(29 * 60_000);
      expect(device.phase).toBe("stuck");
      expect(server.bootstraps).toHaveLength(1);
      expect(server.bootstraps[0]!.open).toBe(true);
      await clock.advance(2 * 60_000);
      expect(server.bootstraps.length).toBeGreaterThan(1);
    },
  );

  test("goes out four times, and the device comes back when nobody answers", async () => {
    const { server, clock, device } = start({}, (one) => (one.intercept = () => true));
    await server.until(() => server.bootstraps[0]?.heard.length === 1);
    await clock.advance(70_000);
    const { heard, repeated } = server.bootstraps[0]!;
    expect([heard.length, repeated.length]).toEqual([1, 3]);
    // 3 s doubled, with the half of the random factor that the test gives.
    expect(repeated.map(({ at }) => (at - heard[0]!.at) / 1000)).toEqual([3.75, 11.25, 26.25]);
    expect(device.phase).toBe("bootstrapping");
    expect(server.bootstraps).toHaveLength(2);
  });

  test("follows a refused handshake with another one, not with a reset", async () => {
    const { server, device, store } = start({}, (one) => (one.refuse = refusal));
    await server.until(() => device.phase === "waiting");
    expect(store.items).toBe(null);
  });
});

describe("a bootstrap with a key from the server", () => {
  test("ends in a registration, and the last answer stands on its own", async () => {
    const { server, device, store } = start();
    await server.until(() => device.phase === "registered" && server.codes.length === 3);
    expect(server.codes).toEqual(["2.04", "2.04", "2.04"]);
    const [connection] = server.bootstraps;
    const finish = connection!.heard.findIndex((one) => one.bytes[0] === 0x60 && one.bytes[1] === 0);
    expect(connection!.heard[finish]!.bytes).toHaveLength(5);
    expect(connection!.heard[finish]!.bytes[4]).toBe(0xc0);
    expect(connection!.heard[finish + 1]).toMatchObject({ code: "2.04", confirmable: true });
    expect(connection!.open).toBe(false);
    expect(device.deviceId).toBe(DEVICE_ID);
    expect(store.items).toMatchObject({ internalEndpoint: DEVICE_ID, lwm2m: { uri: server.lwm2mUri } });
    expect(server.last.target.server.chain).toHaveLength(1);
  });

  test("is done when the server closes in place of the acknowledgement", async () => {
    const { server, device, connection } = await session();
    connection.acknowledge = false;
    await connection.put("/0", account(server));
    await connection.ask({ method: "POST", path: "/bs" });
    connection.close();
    await server.until(() => device.phase === "registered");
  });

  test("fails with a reset in place of the acknowledgement", async () => {
    const { server, device, connection } = await session();
    connection.acknowledge = false;
    await connection.put("/0", account(server));
    await connection.ask({ method: "POST", path: "/bs" });
    connection.empty(connection.heard.at(-1)!, "reset");
    await server.until(() => device.phase === "waiting");
  });

  test.each([
    ["the old TLV format", { contentFormat: 99 }, "2.04"],
    ["no format", { contentFormat: undefined }, "4.00"],
    ["SenML CBOR", { contentFormat: 112 }, "4.00"],
    ["an instance path", { path: "/0/0" }, "2.04"],
    ["another object", { path: "/4" }, "4.00"],
  ])("with %s", async (_, change, code) => {
    const { server, connection, device } = await session();
    const answers: (string | null)[] = [];
    const payload = account(server);
    for (let num = 0; num * 512 < payload.length; num++)
      answers.push(
        (
          await connection.ask({
            method: "PUT",
            path: "/0",
            contentFormat: TLV,
            payload: payload.subarray(num * 512, (num + 1) * 512),
            block1: [num, (num + 1) * 512 < payload.length, 5],
            ...(change as object),
          })
        )?.code ?? null,
      );
    expect(answers.at(-1)).toBe(code);
    await server.until(() => device.phase === (code === "4.00" ? "waiting" : "bootstrapping"));
    if (code === "4.00") expect(connection.open).toBe(false);
  });

  test("refuses bare resources and everything that is no TLV", async () => {
    for (const payload of [encodeResources([{ id: 0, value: string("coaps://x:1?aid=1") }]), Buffer.of(8)]) {
      const { connection, server, device } = await session();
      const answer = await connection.ask({ method: "PUT", path: "/0/0", contentFormat: TLV, payload });
      expect(answer?.code).toBe("4.00");
      await server.until(() => device.phase === "waiting");
    }
  });

  test.each<[string, Record<number, Uint8Array | ReturnType<typeof integer> | null>]>([
    ["no URI", { 0: null }],
    ["an empty URI", { 0: string("") }],
    ["no certificate", { 3: null }],
    ["no CA", { 4: null }],
    ["no key", { 5: null }],
    ["a key that is none", { 5: Buffer.of(0x30) }],
    ["a certificate that is none", { 3: Buffer.from("nonsense") }],
    ["a certificate beyond its memory", { 3: Buffer.alloc(1100, 0x30) }],
    ["mode 0", { 2: integer(0) }],
    ["mode 1", { 2: integer(1) }],
  ])("is given up over %s", async (_, change) => {
    const { server, connection, device } = await session();
    expect(await connection.put("/0", account(server, change))).toBe("4.00");
    await server.until(() => device.phase === "waiting");
    expect(connection.open).toBe(false);
  });

  test("asks for blocks of 512", async () => {
    const { server, connection } = await session();
    const payload = account(server);
    const whole = await connection.ask({ method: "PUT", path: "/0", contentFormat: TLV, payload });
    expect(whole?.code).toBe("4.13");
    expect(optionsOf(whole!, "Block1")).toEqual([Buffer.of(5)]);
    const big = await connection.ask({
      ...{ method: "PUT", path: "/0", contentFormat: TLV },
      ...{ payload: payload.subarray(0, 1024), block1: [0, true, 6] },
    });
    expect(big?.code).toBe("4.13");
    const skipped = await connection.ask({
      ...{ method: "PUT", path: "/0", contentFormat: TLV },
      ...{ payload: payload.subarray(512, 1024), block1: [1, true, 5] },
    });
    expect(skipped?.code).toBe("4.08");
    expect(await connection.put("/0", payload)).toBe("2.04");
  });

  test("wants a device ID in the certificate, or begins anew from factory state", async () => {
    const { server, device, clock, store, connection } = await session();
    expect(await connection.put("/0", account(server, { 3: server.root.certificate }))).toBe("2.04");
    await connection.ask({ method: "POST", path: "/bs" });
    await server.until(() => device.phase === "waiting");
    expect(store.items?.lwm2m).toEqual({ uri: null, chain: [], privateKey: null, serverCa: null });
    await clock.advance(59_000);
    expect(server.bootstraps).toHaveLength(1);
    await clock.advance(2000);
    expect(server.bootstraps).toHaveLength(2);
  });

  test("wants an account in the server's URI", async () => {
    const { server, device } = start({}, (one) => (one.lwm2mUri = "coaps://gangway.example:5684"));
    await server.until(() => device.phase === "waiting");
    expect(server.lwm2m).toHaveLength(0);
  });

  test("knows the scheme coaps only", async () => {
    const { server, device } = start(
      {},
      (one) => (one.lwm2mUri = `coaps+tcp://gangway.example:5684?aid=${ACCOUNT}`),
    );
    await server.until(() => device.phase === "waiting");
    expect(server.lwm2m).toHaveLength(0);
  });

  test("takes the server's settings and the time, and nothing else of the device", async () => {
    const { server, connection, device, store } = await session();
    expect(await connection.put("/0", account(server))).toBe("2.04");
    expect(
      await connection.put("/3", encodeObjectInstance(3, 0, [{ id: 13, value: time(1_800_000_000) }])),
    ).toBe("2.04");
    await connection.put("/1", encodeObjectInstance(1, 0, server.serverObject(120)));
    await connection.ask({ method: "POST", path: "/bs" });
    await server.until(() => device.phase === "registered");
    expect(store.items?.time).toBe(1_800_000_000);

    const other = await session();
    const zone = encodeObjectInstance(3, 0, [{ id: 14, value: string("+01:00") }]);
    expect(await other.connection.put("/3", zone)).toBe("4.00");
    await other.server.until(() => other.device.phase === "waiting");
  });

  test("takes a new address of the bootstrap server in instance 1", async () => {
    const { server, connection, device, store } = await session();
    const uri = `coaps://elsewhere.example:5784?aid=${ACCOUNT}`;
    const { certificate, privateKey } = server.bundle;
    const moved = encodeObjectInstance(
      0,
      1,
      server.security({ 0: string(uri), 1: boolean(true), 3: certificate, 5: privateKey }),
    );
    expect(await connection.put("/0", Buffer.concat([account(server), moved]))).toBe("2.04");
    await connection.ask({ method: "POST", path: "/bs" });
    await server.until(() => device.phase === "registered");
    expect(store.items?.bootstrap.uri).toBe(uri);
  });

  test.each([
    ["", "2.02"],
    ["/0", "2.02"],
    ["/1", "2.02"],
    ["/3", "2.02"],
    ["/0/5", "2.02"],
    ["/35", "4.00"],
    ["/0/10", "4.00"],
  ])("answers DELETE %s with %s", async (path, code) => {
    const { server, connection, device } = await session();
    expect((await connection.ask({ method: "DELETE", path }))?.code).toBe(code);
    await server.until(() => device.phase === (code === "4.00" ? "waiting" : "bootstrapping"));
  });

  test("does not answer a DELETE that comes before the answer, nor its repetition", async () => {
    const { server } = start({}, (one) => (one.intercept = () => true));
    await server.until(() => server.bootstraps[0]?.heard.length === 1);
    const [connection] = server.bootstraps;
    expect(await connection!.ask({ method: "DELETE", path: "/0", messageId: 77 })).toBe(null);
    connection!.reply(connection!.heard[0]!, "2.04");
    await server.turns();
    // By then its id is known and it is taken for a repetition.
    expect(await connection!.ask({ method: "DELETE", path: "/0", messageId: 77 })).toBe(null);
    expect((await connection!.ask({ method: "DELETE", path: "/0" }))?.code).toBe("2.02");
  });

  test("answers no GET", async () => {
    const { connection } = await session();
    expect(await connection.ask({ path: "/", accept: 40 })).toBe(null);
    expect(await connection.ask({ path: "/1" })).toBe(null);
  });

  test("refuses to finish without an account", async () => {
    const { server, connection, device } = await session();
    await connection.ask({ method: "DELETE", path: "/0" });
    expect((await connection.ask({ method: "POST", path: "/bs" }))?.code).toBe("4.00");
    await server.until(() => device.phase === "waiting");
  });
});

describe("a bootstrap with a key of the device", () => {
  const est = (server: PelionServer) => {
    server.mode = "est";
  };
  /** Answers with more certificates than go into one message. */
  const long = (server: PelionServer, extra: number) => {
    est(server);
    server.intercept = (connection, request) => {
      if (request.path !== "/est/sen") return false;
      server.enrol(connection, request, Array(extra).fill(server.root.certificate));
      return true;
    };
  };

  test("asks for a certificate on the same connection, block by block with one token", async () => {
    const { server, device, store } = start({}, (one) => long(one, 1));
    await server.until(() => device.phase === "registered");
    const [connection] = server.bootstraps;
    const [request, next, ...more] = connection!.requests("/est/sen");
    expect(more).toEqual([]);
    expect(optionsOf(request!, "Content-Format")).toEqual([Buffer.alloc(0)]);
    expect(optionsOf(request!, "Block2")).toEqual([Buffer.of(5)]);
    expect(optionsOf(next!, "Block2")).toEqual([Buffer.of(0x15)]);
    expect(next!.payload).toHaveLength(0);
    expect(next!.token).toEqual(request!.token);
    expect(next!.messageId).toBe((request!.messageId + 1) & 0xffff);

    const csr = new x509.Pkcs10CertificateRequest(Uint8Array.from(request!.payload));
    expect(csr.subject).toBe(`L=${DEVICE_ID}, OU=${ACCOUNT}, CN=${ENDPOINT}`);
    expect(csr.attributes).toEqual([]);
    expect(parseCertificateRequest(request!.payload).subject).toMatchObject({ cn: ENDPOINT, l: DEVICE_ID });
    expect(request!.payload.length).toBeLessThan(320);
    // UTF8String, and the order of the client.
    const names = [DEVICE_ID, ACCOUNT, ENDPOINT].map((text) =>
      request!.payload.indexOf(Buffer.concat([Buffer.of(0x0c, text.length), Buffer.from(text)])),
    );
    expect(names.every((at) => at > 0)).toBe(true);
    expect(names.toSorted((a, b) => a - b)).toEqual(names);

    const { chain, privateKey } = store.items!.lwm2m;
    expect(new X509Certificate(chain[0]!).subject).toContain(`L=${DEVICE_ID}`);
    expect(server.last.target.server).toMatchObject({ chain, privateKey });
    expect(device.deviceId).toBe(DEVICE_ID);
  });

  test("takes a chain of three", async () => {
    const { server, device, store } = start({}, (one) => long(one, 2));
    await server.until(() => device.phase === "registered");
    expect(store.items?.lwm2m.chain).toHaveLength(3);
  });

  test("refuses to finish without an iep", async () => {
    const { server, connection, device } = await session(est);
    expect(await connection.put("/0", account(server))).toBe("2.04");
    expect((await connection.ask({ method: "POST", path: "/bs" }))?.code).toBe("4.00");
    await server.until(() => device.phase === "waiting");
    expect(connection.requests("/est/sen")).toEqual([]);
  });

  /** Answers the enrolment with an error, or with what the client cannot use. */
  const failing = (code: string, payload: Buffer = Buffer.alloc(0)) => {
    return start({}, (one) => {
      est(one);
      one.intercept = (connection, request) => {
        if (request.path !== "/est/sen") return false;
        connection.reply(request, code, { payload });
        return true;
      };
    });
  };

  test.each([
    ["4.00", ""],
    ["4.03", ""],
    ["5.03", ""],
    ["2.04 without anything", ""],
    ["2.04 with another version", "0201"],
    ["2.04 cut off", "010100ff30"],
    ["2.04 in one piece beyond a block", "01".repeat(600)],
  ])("waits for the end of the connection after %s, and comes back 13 s later", async (what, hex) => {
    const { server, clock, device, store } = failing(what.slice(0, 4), Buffer.from(hex, "hex"));
    await server.until(() => server.bootstraps[0]?.requests("/est/sen").length === 1);
    await server.turns();
    await clock.advance(10 * 60_000);
    expect(server.bootstraps).toHaveLength(1);
    expect(device.phase).toBe("bootstrapping");
    // The device does not know its ID yet: it was to come with the certificate.
    expect(store.items?.internalEndpoint).toBe(null);
    server.bootstraps[0]!.close();
    await server.turns();
    expect(device.phase).toBe("waiting");
    await clock.advance(12_900);
    expect(server.bootstraps).toHaveLength(1);
    await clock.advance(200);
    expect(server.bootstraps).toHaveLength(2);
  });

  /** A device whose enrolment was interrupted: its key is in the store for good. */
  async function trapped() {
    const all = start({}, (one) => {
      est(one);
      one.intercept = (connection, request) => {
        if (request.path !== "/est/sen") return false;
        connection.close();
        return true;
      };
    });
    await all.server.until(() => all.device.phase === "waiting");
    all.server.intercept = null;
    return all;
  }

  test("leaves its key behind when it is interrupted, and refuses the mode from then on", async () => {
    const { server, clock, device, store } = await trapped();
    expect(store.items?.lwm2m.privateKey).not.toBe(null);
    for (const seconds of [14, 28, 56]) {
      server.codes.length = 0;
      await clock.advance(seconds * 1000);
      await server.until(() => device.phase === "waiting" && server.codes.length > 0);
      expect(server.codes).toEqual(["4.00"]);
    }
    expect(device.phase).toBe("waiting");

    // Neither a Delete nor another start of the process helps.
    server.session = async (one) => {
      await one.ask({ method: "DELETE", path: "/0" });
      await server.bootstrap(one);
    };
    await device.stop();
    const again = startPelion({ store }, () => {}, server);
    devices.push(again.device);
    server.codes.length = 0;
    await server.until(() => again.device.phase === "waiting" && server.codes.length > 0);
    expect(server.codes).toEqual(["4.00"]);
  });

  test("is free again with a key from the server", async () => {
    const { server, clock, device } = await trapped();
    await clock.advance(14_000);
    await server.until(() => device.phase === "waiting" && server.codes.includes("4.00"));
    server.mode = "certificate";
    await clock.advance(30_000);
    await server.until(() => device.phase === "registered");
    expect(device.deviceId).toBe(DEVICE_ID);
  });

  test("is free again after a key that is none: refused, but gone", async () => {
    const { server, clock, device, store } = await trapped();
    server.session = async (one) => {
      await one.put("/0", account(server, { 5: Buffer.of(0x30) }));
    };
    await clock.advance(14_000);
    await server.until(() => device.phase === "waiting" && store.items?.lwm2m.privateKey === null);
    server.session = null;
    await clock.advance(30_000);
    await server.until(() => device.phase === "registered");
  });

  test("sends its request again while the answer is held back, and fails without one", async () => {
    const held = start({}, (one) => {
      est(one);
      one.intercept = (_, request) => request.path === "/est/sen";
    });
    await held.server.until(() => held.server.bootstraps[0]?.requests("/est/sen").length === 1);
    const [connection] = held.server.bootstraps;
    await held.clock.advance(12_000);
    expect(connection!.repeated.filter(({ path }) => path === "/est/sen")).toHaveLength(2);
    held.server.enrol(connection!, connection!.requests("/est/sen")[0]!);
    held.server.intercept = null;
    await held.server.until(() => held.device.phase === "registered");

    const silent = start({}, (one) => {
      est(one);
      one.intercept = (_, request) => request.path === "/est/sen";
    });
    await silent.server.until(() => silent.server.bootstraps[0]?.requests("/est/sen").length === 1);
    await silent.clock.advance(57_000);
    expect(silent.device.phase).toBe("waiting");
    expect(silent.store.items?.lwm2m.privateKey).not.toBe(null);
  });

  test("does not acknowledge an answer that comes on its own", async () => {
    const { server, device } = start({}, (one) => {
      est(one);
      one.intercept = (connection, request) => {
        if (request.path !== "/bs") return false;
        connection.empty(request, "ack");
        const { token } = request;
        connection.send({ confirmable: true, code: "2.04", messageId: one.nextMessageId(), token });
        void one.bootstrap(connection);
        return true;
      };
    });
    await server.until(() => device.phase === "registered");
    const [connection] = server.bootstraps;
    const acknowledged = connection!.heard.filter((one) => one.ack && one.code === "0.00");
    // Only Finish has an empty acknowledgement.
    expect(acknowledged).toHaveLength(1);
  });
});
