import { describe, expect, test } from "vitest";
import type { IncomingRequest } from "@/server/coap/types";
import { BootstrapSession } from "@/server/device/bootstrap-session";
import { Backoff, Gate } from "@/server/device/pacing";
import type { Account } from "@/server/device/state";
import { parseServerUri } from "@/server/device/uri";
import {
  boolean,
  encodeContent,
  encodeObjectInstance,
  encodeResources,
  type InstanceResource,
  integer,
  string,
} from "@/server/lwm2m";
import { FakeClock } from "../../support/fake-clock";
import { BOOTSTRAP_URI, FakeServers, incoming, LWM2M_URI, SERVER } from "./fake-server";

const TLV = 11542;
const servers = new FakeServers(new FakeClock());

function session(account: Account | null = null, bootstrapInstance = 1) {
  const taken: Account[] = [];
  let finished = 0;
  const it = new BootstrapSession(
    {
      lwm2mVersion: "1.1",
      bootstrapUri: BOOTSTRAP_URI,
      bootstrapInstance,
      account,
      otherInstances: ["/3/0", "/3303/0"],
    },
    async (one) => void taken.push(one),
    () => finished++,
  );
  const send = async (
    method: IncomingRequest["method"],
    path: string,
    rest: Partial<IncomingRequest> = {},
  ) => {
    const response = await it.handle(incoming({ method, path: path.split("/").filter(Boolean), ...rest }));
    response.sent?.();
    return { code: response.code, text: Buffer.from(response.payload ?? "").toString() };
  };
  const write = async (path: string, payload: Uint8Array, contentFormat = TLV) =>
    (await send("PUT", path, { payload, contentFormat })).code;
  return { send, write, taken, finished: () => finished, finish: () => send("POST", "/bs") };
}

const security = (change: Parameters<FakeServers["security"]>[0] = {}) =>
  encodeObjectInstance(0, 0, servers.security(change));
const server = encodeObjectInstance(1, 0, SERVER);

async function account(): Promise<Account> {
  const { write, finish, taken } = session();
  await write("/0", security());
  await write("/1", server);
  await finish();
  return taken[0]!;
}

describe("writes", () => {
  test("as object instances at the object, Pelion's way", async () => {
    const { write, finish, taken, finished } = session();
    expect([await write("/0", security()), await write("/1", server)]).toEqual(["2.04", "2.04"]);
    expect(await finish()).toEqual({ code: "2.04", text: "" });
    expect(taken[0]).toMatchObject({ uri: LWM2M_URI, shortServerId: 1, lifetime: 86_400 });
    expect(finished()).toBe(1);
  });

  test("as resources at the instance, the standard's way, in TLV and SenML", async () => {
    for (const format of [TLV, 110, 112]) {
      const { write, finish, taken } = session();
      const body = (objectId: number, resources: InstanceResource[]) =>
        format === TLV
          ? encodeResources(resources)
          : encodeContent(
              format,
              `/${objectId}/0`,
              resources.map(({ id, value }) => ({
                path: `/${objectId}/0/${id}`,
                value:
                  value instanceof Uint8Array
                    ? { type: "opaque" as const, value: Buffer.from(value).toString("base64") }
                    : value,
              })),
            );
      expect(await write("/0/0", body(0, servers.security()), format)).toBe("2.04");
      expect(await write("/1/0", body(1, SERVER), format)).toBe("2.04");
      expect((await finish()).code).toBe("2.04");
      expect(taken).toHaveLength(1);
    }
  });

  test("a write replaces the whole instance", async () => {
    const { write, finish } = session(await account());
    await write("/0/0", encodeResources([{ id: 0, value: string(LWM2M_URI) }]));
    expect((await finish()).text).toMatch(/short server id .* missing/);
  });

  test("the bootstrap account is never overwritten or deleted", async () => {
    const { write, send } = session();
    expect(await write("/0/1", encodeResources(servers.security()))).toBe("4.00");
    expect(await write("/0", encodeObjectInstance(0, 1, servers.security()))).toBe("4.00");
    expect((await send("DELETE", "/0/1")).code).toBe("4.00");
    await send("DELETE", "/0");
    await send("DELETE", "/");
    expect((await send("GET", "/0", { accept: 40 })).text).toBe(
      `</>;lwm2m=1.1,</0/1>;uri="${BOOTSTRAP_URI}"`,
    );
  });

  test.each([
    ["an unknown object", "/5/0", "c10001", TLV, "4.04"],
    ["an object of the device", "/3/0", "c10d01", TLV, "4.05"],
    ["everything", "/", "c10001", TLV, "4.05"],
    ["a single resource", "/0/0/0", "c10001", TLV, "4.05"],
    ["another format", "/0/0", "c10001", 0, "4.15"],
    ["a broken payload", "/0/0", "c80014", TLV, "4.00"],
    ["a value of the wrong type", "/0/0", "c3020102ff", TLV, "4.00"],
  ])("%s is refused", async (_what, path, hex, format, code) => {
    expect(await session().write(path, Buffer.from(hex, "hex"), format)).toBe(code);
  });
});

describe("discover, read, delete", () => {
  test("BS-07 BS-08 accounts by their short server id", async () => {
    expect((await session().send("GET", "/", { accept: 40 })).text).toBe(
      `</>;lwm2m=1.1,</0/1>;uri="${BOOTSTRAP_URI}",</1>,</3/0>,</3303/0>`,
    );
    expect((await session(await account()).send("GET", "/", { accept: 40 })).text).toBe(
      `</>;lwm2m=1.1,</0/1>;uri="${BOOTSTRAP_URI}",</0/0>;ssid=1;uri="${LWM2M_URI}",</1/0>;ssid=1,</3/0>,</3303/0>`,
    );
  });

  test("BS-10 one object", async () => {
    expect((await session().send("GET", "/3", { accept: 40 })).text).toBe("</>;lwm2m=1.1,</3/0>");
    expect((await session().send("GET", "/77", { accept: 40 })).code).toBe("4.04");
  });

  test("only the Server object can be read", async () => {
    const { send } = session(await account());
    expect((await send("GET", "/1")).code).toBe("2.05");
    expect((await send("GET", "/1/7")).code).toBe("4.04");
    expect((await send("GET", "/0")).code).toBe("4.05");
  });

  test("BS-13 BS-14 Delete takes accounts, the device stays", async () => {
    const { send } = session(await account());
    expect((await send("DELETE", "/3/0")).code).toBe("4.05");
    expect((await send("DELETE", "/9")).code).toBe("4.04");
    expect((await send("DELETE", "/0/5")).code).toBe("4.04");
    expect((await send("DELETE", "/0/0")).code).toBe("2.02");
    expect((await send("DELETE", "/1")).code).toBe("2.02");
    expect((await send("GET", "/", { accept: 40 })).text).toBe(
      `</>;lwm2m=1.1,</0/1>;uri="${BOOTSTRAP_URI}",</1>,</3/0>,</3303/0>`,
    );
    expect((await send("PATCH", "/0")).code).toBe("4.05");
    expect((await send("GET", "/x")).code).toBe("4.04");
  });
});

describe("the check at Finish", () => {
  const pem = Buffer.from("-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n");

  test.each<[string, Parameters<FakeServers["security"]>[0], RegExp]>([
    ["no server URI", { 0: null }, /server URI in \/0\/0\/0 is missing/],
    ["an unreadable URI", { 0: string("https://x") }, /unreadable/],
    ["no short server id", { 10: null }, /short server id/],
    ["short server id 0", { 10: integer(0) }, /short server id/],
    ["an id without a server", { 10: integer(7) }, /no server with the short id 7/],
    ["an unknown security mode", { 2: integer(4) }, /security mode 4/],
    ["no security mode", { 2: null }, /security mode that is missing/],
    ["no key", { 5: null }, /key .* is missing/],
    ["BS-49 a certificate in PEM", { 3: pem }, /not DER/],
    ["BS-49 a server certificate in PEM", { 4: pem }, /server certificate is not DER/],
    ["the key of another certificate", { 5: servers.bundle.privateKey }, /does not belong/],
    ["garbage as a certificate", { 3: Uint8Array.of(0x30, 3, 1) }, /unreadable/],
    ["security without a secure URI", { 0: string("coap://x") }, /does not fit the security mode/],
    ["BS-11 a second bootstrap account", { 1: boolean(true) }, /two bootstrap accounts/],
  ])("%s", async (_what, change, message) => {
    const { write, finish, taken, finished } = session();
    expect(await write("/0", security(change))).toBe("2.04");
    await write("/1", server);
    const answer = await finish();
    expect(answer.code).toBe("4.06");
    expect(answer.text).toMatch(message);
    expect([taken.length, finished()]).toEqual([0, 0]);
  });

  test("nothing written, or more than one account", async () => {
    expect((await session().finish()).text).toMatch(/No LwM2M server account/);
    const { write, finish } = session();
    await write("/0/0", encodeResources(servers.security()));
    await write("/0/2", encodeResources(servers.security()));
    expect((await finish()).text).toMatch(/takes one/);
  });

  test("an account without security", async () => {
    const { write, finish, taken } = session();
    await write("/0", security({ 0: string("coap://x"), 2: integer(3), 3: null, 4: null, 5: null }));
    await write("/1", server);
    expect((await finish()).code).toBe("2.04");
    expect(taken[0]?.credentials).toBe(null);
  });
});

describe("addresses and pacing", () => {
  test("URIs", () => {
    expect(parseServerUri("coaps+tcp://[::1]:5684?aid=1&x=y")).toMatchObject({
      secure: true,
      transport: "tcp",
      host: "::1",
      port: 5684,
      query: ["aid=1", "x=y"],
    });
    expect(parseServerUri("coap://host")).toMatchObject({
      secure: false,
      transport: "udp",
      port: 5683,
      query: [],
    });
    for (const bad of [
      "",
      "coaps://",
      "http://x",
      "coaps://x:0",
      "coaps://x:70000",
      "coaps://x y",
      "coaps://a@b",
    ]) {
      expect(parseServerUri(bad), bad).toBe(null);
    }
  });

  test("the gate lets 10 through in 10 s, then none for 60 s", async () => {
    const clock = new FakeClock();
    const gate = new Gate(clock);
    for (let count = 0; count < 10; count++) expect(gate.enter()).toBe(0);
    expect(gate.enter()).toBe(60_000);
    await clock.advance(59_000);
    expect(gate.enter()).toBe(1000);
    await clock.advance(1000);
    expect(gate.enter()).toBe(0);
    for (let count = 0; count < 30; count++) {
      await clock.advance(1001);
      expect(gate.enter()).toBe(0);
    }
  });

  test("waits double up to 4 hours, with a tenth of chance", () => {
    const low = new Backoff({}, () => 0);
    const high = new Backoff({}, () => 1);
    expect([low.next(), low.next(), low.next()]).toEqual([11_700, 23_400, 46_800]);
    for (let count = 0; count < 40; count++) high.next();
    expect(high.next()).toBe(15_840_000);
    high.reset();
    expect(high.next()).toBe(14_300);
  });
});
