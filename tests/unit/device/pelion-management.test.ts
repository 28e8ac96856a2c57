import "reflect-metadata";
import * as x509 from "@peculiar/x509";
import { afterEach, describe, expect, test } from "vitest";
import type { PelionDevice, PelionOptions } from "@/server/device";
import { decodeContent, encodeContent, integer, parseLinks } from "@/server/lwm2m";
import {
  ACCOUNT,
  type Ask,
  type Connection,
  DEVICE_ID,
  ENDPOINT,
  type Heard,
  optionsOf,
  type PelionServer,
  type Running,
  registeredPelion,
  TLV,
} from "./pelion-server";

const devices: PelionDevice[] = [];
afterEach(async () => {
  for (const device of devices.splice(0)) await device.stop();
});

async function registered(
  options: Partial<PelionOptions> = {},
  prepare?: (server: PelionServer) => void,
): Promise<Running & { connection: Connection }> {
  const all = await registeredPelion(options, prepare);
  devices.push(all.device);
  return { ...all, connection: all.server.last };
}

const format = (heard: Heard | null): number | null => {
  const [value] = heard ? optionsOf(heard, "Content-Format") : [];
  return value ? (value.length === 0 ? 0 : value.readUIntBE(0, value.length)) : null;
};

describe("what the device answers", () => {
  test.each<[string, Ask, string, number | null]>([
    ["a resource", { path: "/3/0/0" }, "2.05", 0],
    ["a resource as text", { path: "/3/0/0", accept: 0 }, "2.05", 0],
    ["a resource as TLV", { path: "/3200/0/5501", accept: TLV }, "2.05", TLV],
    ["a resource as old TLV", { path: "/3200/0/5501", accept: 99 }, "2.05", 99],
    ["a resource as link format", { path: "/3/0/0", accept: 40 }, "2.05", 40],
    ["an opaque resource", { path: "/10255/0/4" }, "2.05", 42],
    ["a resource as SenML JSON", { path: "/3/0/0", accept: 110 }, "4.06", null],
    ["a resource as LwM2M JSON", { path: "/3/0/0", accept: 11543 }, "4.06", null],
    ["an instance", { path: "/3/0" }, "2.05", TLV],
    ["an instance as text", { path: "/3/0", accept: 0 }, "4.06", null],
    ["an object as SenML CBOR", { path: "/3", accept: 112 }, "4.06", null],
    ["a multiple resource", { path: "/3/0/11" }, "2.05", TLV],
    ["a multiple resource as text", { path: "/3/0/11", accept: 0 }, "4.06", null],
    ["a resource instance", { path: "/3/0/11/0" }, "2.05", 0],
    ["an executable resource", { path: "/3/0/4" }, "4.05", null],
    ["an unknown path", { path: "/3/0/99" }, "4.04", null],
    ["the security object", { path: "/0/0" }, "4.04", null],
    ["a write", { method: "PUT", path: "/3201/0/5853", payload: "1:2", contentFormat: 0 }, "2.04", null],
    ["a write without a format", { method: "PUT", path: "/3201/0/5853", payload: "1:2" }, "2.04", null],
    [
      "an opaque write",
      { method: "PUT", path: "/3201/0/5853", payload: "1:2", contentFormat: 42 },
      "2.04",
      null,
    ],
    [
      "a SenML write",
      { method: "PUT", path: "/3201/0/5853", payload: "[]", contentFormat: 110 },
      "4.15",
      null,
    ],
    ["a write to what is not writable", { method: "PUT", path: "/3/0/0", payload: "x" }, "4.05", null],
    [
      "a write to an instance",
      { method: "PUT", path: "/3200/0", payload: "x", contentFormat: TLV },
      "4.05",
      null,
    ],
    ["a short lifetime", { method: "PUT", path: "/1/0/1", payload: "59" }, "4.06", null],
    ["a lifetime that is none", { method: "PUT", path: "/1/0/1", payload: "long" }, "4.06", null],
    ["attributes", { method: "PUT", path: "/3200/0/5501", query: ["pmin=1", "pmax=60"] }, "2.04", null],
    ["attributes unknown", { method: "PUT", path: "/3200/0/5501", query: ["epmin=1"] }, "4.00", null],
    ["a Create", { method: "POST", path: "/3200/7", payload: "x", contentFormat: TLV }, "4.05", null],
    ["a Create of an unknown object", { method: "POST", path: "/77/0", payload: "x" }, "4.04", null],
    ["an execute of nothing", { method: "POST", path: "/3/0/99" }, "4.04", null],
    ["an execute of a value", { method: "POST", path: "/3/0/0" }, "4.05", null],
    ["an execute of a resource instance", { method: "POST", path: "/3/0/11/0" }, "4.00", null],
    ["a Delete", { method: "DELETE", path: "/3200/0" }, "4.05", null],
    ["a Delete of nothing", { method: "DELETE", path: "/3200/7" }, "4.04", null],
    ["an observation", { path: "/3200/0/5501", observe: 0 }, "2.05", 0],
    ["an observation of what is automatic", { path: "/3/0/0", observe: 0 }, "4.00", 0],
    ["the end of what is automatic", { path: "/3/0/0", observe: 1 }, "4.00", 0],
    ["an observation of what is not observable", { path: "/3201/0/5853", observe: 0 }, "4.05", 0],
    ["an observation of an instance", { path: "/3200/0", observe: 0 }, "4.05", TLV],
    [
      "an observation without a token",
      { path: "/3200/0/5501", observe: 0, token: Buffer.alloc(0) },
      "4.00",
      0,
    ],
  ])("%s", async (_, ask, code, contentFormat) => {
    const { connection } = await registered();
    const answer = await connection.ask(ask);
    expect([answer?.code, format(answer)]).toEqual([code, contentFormat]);
    expect(optionsOf(answer!, "Max-Age")).toEqual([Buffer.alloc(0)]);
  });

  test("integers of eight bytes in TLV", async () => {
    const { connection } = await registered();
    const answer = await connection.ask({ path: "/3200/0" });
    expect(answer?.payload.toString("hex")).toBe("e8157d080000000000000000");
    expect(decodeContent(TLV, answer!.payload, "/3200/0")).toMatchObject([{ value: integer(0) }]);
    const object = await connection.ask({ path: "/3" });
    const paths = decodeContent(TLV, object!.payload, "/3").map(({ path }) => path);
    expect(paths).toContain("/3/0/11/0");
    expect(paths).not.toContain("/3/0/4");
  });

  test("takes an integer as TLV, and lets a short lifetime through that way", async () => {
    const { connection, device } = await registered();
    const put = (path: string, value: number) =>
      connection.ask({
        ...{ method: "PUT", path, contentFormat: TLV },
        payload: encodeContent(TLV, path, integer(value)),
      });
    expect((await put("/3200/0/5501", 70_000))?.code).toBe("2.04");
    expect(device.tree.text("3200/0/5501")).toBe("70000");
    expect((await put("/1/0/1", 30))?.code).toBe("2.04");
    const other = await connection.ask({
      ...{ method: "PUT", path: "/3200/0/5501", contentFormat: TLV },
      payload: Buffer.of(0xc1, 0x05, 0x07),
    });
    expect(other?.code).toBe("4.00");
  });

  test("big values in blocks of 512 with their size, and takes them in blocks", async () => {
    const { connection, device } = await registered();
    const first = await connection.ask({ path: "/5000/0/2" });
    expect(first?.payload).toHaveLength(512);
    expect(optionsOf(first!, "Block2")).toEqual([Buffer.of(0x0d)]);
    expect(optionsOf(first!, "Size2")).toEqual([Buffer.of(8, 1)]);
    const last = await connection.ask({ path: "/5000/0/2", block2: [4, 5] });
    expect(last?.payload).toHaveLength(1);
    expect(optionsOf(last!, "Block2")).toEqual([Buffer.of(0x45)]);

    expect(await connection.put("/5000/0/2", Buffer.alloc(1300, "y"), 0)).toBe("2.04");
    expect(device.tree.text("5000/0/2")).toBe("y".repeat(1300));
    const big = await connection.ask({ method: "PUT", path: "/5000/0/2", payload: "z".repeat(600) });
    expect(big?.code).toBe("4.13");
    // Smaller blocks are fine.
    const blocks = ["a".repeat(256), "b"].map((payload, num) =>
      connection.ask({ method: "PUT", path: "/5000/0/2", payload, block1: [num, num === 0, 4] }),
    );
    expect((await Promise.all(blocks)).map((one) => one?.code)).toEqual(["2.31", "2.04"]);
  });

  test("/.well-known/core without the token", async () => {
    const { connection } = await registered();
    await connection.ask({ path: "/.well-known/core" });
    const answer = connection.heard.at(-1)!;
    expect([answer.code, format(answer), answer.token.length]).toEqual(["2.05", 40, 0]);
    expect(optionsOf(answer, "Block2")).toHaveLength(1);
  });

  test("link format of one level", async () => {
    const { connection } = await registered();
    const answer = await connection.ask({ path: "/3200", accept: 40 });
    expect(parseLinks(answer!.text).map((one) => one.target)).toEqual(["/3200", "/3200/0", "/3200/0/5501"]);
  });

  test("dies of a discovery of a resource instance", async () => {
    const { connection, device } = await registered();
    expect(await connection.ask({ path: "/3/0/11/0", accept: 40 })).toBe(null);
    expect(device.crashed).toContain("/3/0/11/0");
    expect(device.phase).toBe("crashed");
    expect(connection.open).toBe(false);
    await device.stop();
    expect(device.phase).toBe("crashed");
  });
});

describe("an execute", () => {
  test("is acknowledged empty and answered on its own", async () => {
    const { connection } = await registered();
    const before = connection.heard.length;
    const answer = await connection.ask({ method: "POST", path: "/3201/0/5850" });
    const [ack, separate] = connection.heard.slice(before);
    expect(ack!.bytes.subarray(0, 2)).toEqual(Buffer.of(0x60, 0));
    expect(ack!.bytes).toHaveLength(5);
    expect(separate).toEqual(answer);
    expect(separate).toMatchObject({ code: "2.04", confirmable: true, payload: Buffer.alloc(0) });
    expect(separate!.messageId).not.toBe(ack!.messageId);
  });

  test("with a format it does not know is never answered, nor are those after it", async () => {
    const { connection, clock } = await registered();
    const execute = (contentFormat?: number) =>
      connection.ask({
        ...{ method: "POST", path: "/3201/0/5850", payload: "x" },
        ...(contentFormat !== undefined && { contentFormat }),
      });
    expect((await execute(0))?.code).toBe("2.04");
    expect(await execute(42)).toBe(null);
    await clock.advance(60_000);
    expect((await execute())?.code).toBe("4.12");
  });

  test("of a manifest ends with a result that it tells by itself", async () => {
    const { connection, device } = await registered();
    const before = connection.heard.length;
    expect((await connection.ask({ method: "POST", path: "/10252/0/1", payload: "manifest" }))?.code).toBe(
      "2.04",
    );
    const tokens = new Map(
      device.tree.automatic().map(({ path, aobs }) => [path, (aobs ?? 0).toString(16).padStart(4, "0")]),
    );
    const told = connection.heard.slice(before).filter((one) => one.code === "2.05");
    expect(told.map((one) => [one.token.toString("hex"), one.text])).toEqual([
      [tokens.get("10252/0/2"), "2"],
      [tokens.get("10252/0/3"), "22"],
      [tokens.get("10252/0/2"), "1"],
    ]);
  });
});

describe("notifications", () => {
  const told = (connection: Connection) =>
    connection.heard.filter((one) => one.code === "2.05" && one.confirmable);
  const number = (heard: Heard) => optionsOf(heard, "Observe")[0]!.readUIntBE(0, 1);

  test("come by themselves from the first second, one at a time and with the latest value", async () => {
    const { connection, device, server } = await registered();
    connection.acknowledge = false;
    device.tree.set("10252/0/2", "3");
    device.tree.set("10252/0/2", "4");
    device.tree.set("3/0/0", "another");
    await server.turns();
    const [first] = told(connection);
    expect(told(connection)).toHaveLength(1);
    const aobs = device.tree.find("10252/0/2")!.aobs!;
    expect(first!.token).toEqual(Buffer.of(aobs >> 8, aobs & 255));
    expect([first!.text, number(first!), format(first!)]).toEqual(["3", 2, 0]);
    connection.empty(first!, "ack");
    await server.turns();
    expect(told(connection).map((one) => one.text)).toEqual(["3", "another"]);
    connection.acknowledge = true;
    connection.empty(told(connection)[1]!, "ack");
    await server.turns();
    expect(told(connection).map((one) => one.text)).toEqual(["3", "another", "4"]);
    expect(number(told(connection)[2]!)).toBe(3);
  });

  test("that are asked for go on until they are cancelled, or reset", async () => {
    const { connection, device, server } = await registered();
    const token = Buffer.from("0102030405060708", "hex");
    const answer = await connection.ask({ path: "/3200/0/5501", observe: 0, token });
    expect(optionsOf(answer!, "Observe")).toEqual([Buffer.alloc(0)]);
    const set = async (value: string) => {
      device.tree.set("3200/0/5501", value);
      await server.turns();
    };
    await set("1");
    await set("2");
    expect(told(connection).map((one) => [one.text, number(one), one.token])).toEqual([
      ["1", 2, token],
      ["2", 3, token],
    ]);
    await connection.ask({ path: "/3200/0/5501", observe: 1 });
    await set("3");
    expect(told(connection)).toHaveLength(2);

    await connection.ask({ path: "/3200/0/5501", observe: 0 });
    connection.acknowledge = false;
    await set("4");
    connection.empty(told(connection).at(-1)!, "reset");
    connection.acknowledge = true;
    await set("5");
    expect(told(connection)).toHaveLength(3);
    // A reset does not end what it tells by itself.
    connection.acknowledge = false;
    device.tree.set("10252/0/2", "3");
    await server.turns();
    connection.empty(told(connection).at(-1)!, "reset");
    connection.acknowledge = true;
    device.tree.set("10252/0/2", "4");
    await server.turns();
    expect(told(connection).at(-1)?.text).toBe("4");
  });

  test("keep to pmin and pmax", async () => {
    const { connection, device, server, clock } = await registered();
    await connection.ask({ path: "/3200/0/5501", observe: 0 });
    await connection.ask({ method: "PUT", path: "/3200/0/5501", query: ["pmin=10", "pmax=60"] });
    device.tree.set("3200/0/5501", "1");
    await clock.advance(9000);
    expect(told(connection)).toEqual([]);
    await clock.advance(1500);
    expect(told(connection).map((one) => one.text)).toEqual(["1"]);
    await clock.advance(61_000);
    expect(told(connection)).toHaveLength(2);
    await server.turns();
  });

  test("that nobody acknowledges end the connection, and come again on the next", async () => {
    const { connection, device, server, clock } = await registered();
    connection.acknowledge = false;
    device.tree.set("10252/0/2", "3");
    await clock.advance(50_000);
    expect(connection.repeated).toHaveLength(3);
    await clock.advance(21_000);
    await server.until(() => device.phase === "registered" && server.lwm2m.length === 2);
    await server.turns();
    expect(told(server.last).map((one) => one.text)).toEqual(["3"]);
  });

  test("of big values leave the rest to be fetched", async () => {
    const { connection, device, server } = await registered();
    await connection.ask({ path: "/5000/0/2", observe: 0 });
    device.tree.set("5000/0/2", "y".repeat(600));
    await server.turns();
    const [first] = told(connection);
    expect(optionsOf(first!, "Block2")).toEqual([Buffer.of(0x0d)]);
    const rest = await connection.ask({ path: "/5000/0/2", block2: [1, 5] });
    expect(rest?.text).toBe("y".repeat(88));
  });

  test("that were asked for outlive a connection, but not a registration", async () => {
    const { connection, device, server, clock } = await registered();
    const token = Buffer.of(1, 2, 3, 4);
    await connection.ask({ path: "/3200/0/5501", observe: 0, token });
    connection.close();
    await clock.advance(14_000);
    await server.until(() => device.phase === "registered" && server.lwm2m.length === 2);
    device.tree.set("3200/0/5501", "5");
    await server.turns();
    expect(told(server.last).map((one) => [one.text, one.token])).toEqual([["5", token]]);
  });
});

describe("what the server can have it do", () => {
  test("update now, with another lifetime too", async () => {
    const { connection } = await registered();
    const updates = () => connection.requests(`/rd/${ACCOUNT}/${DEVICE_ID}`);
    expect((await connection.ask({ method: "POST", path: "/1/0/8" }))?.code).toBe("2.04");
    expect(updates()).toHaveLength(1);
    expect((await connection.ask({ method: "PUT", path: "/1/0/1", payload: "300" }))?.code).toBe("2.04");
    expect(updates()[1]?.query).toEqual(["et=default", "lt=300"]);
  });

  test("reboot: registers in full on another connection, the old one stays open", async () => {
    const { connection, server, device } = await registered({ transport: "tcp" });
    expect((await connection.ask({ method: "POST", path: "/3/0/4" }))?.code).toBe("2.04");
    await server.until(() => server.lwm2m.length === 2 && device.phase === "registered");
    expect(connection.open).toBe(true);
    expect(server.last.requests("/rd")).toHaveLength(3);
    expect(server.bootstraps).toHaveLength(1);
    // Nobody is there any more.
    expect(await connection.ask({ path: "/3/0/0" })).toBe(null);
    expect((await server.last.ask({ path: "/3/0/0" }))?.code).toBe("2.05");
    await device.stop();
    await server.turns();
    expect(connection.open).toBe(false);
  });

  test("forget its credentials: it goes on, and bootstraps without an ID at the next start", async () => {
    const { connection, server, device, store } = await registered();
    expect((await connection.ask({ method: "POST", path: "/3/0/5" }))?.code).toBe("2.04");
    expect(store.items).toMatchObject({ internalEndpoint: null, lwm2m: { uri: null, chain: [] } });
    expect(device.phase).toBe("registered");
    expect((await connection.ask({ path: "/3/0/0" }))?.code).toBe("2.05");
    await connection.ask({ method: "POST", path: "/3/0/4" });
    await server.until(() => server.bootstraps.length === 2 && server.lwm2m.length === 2);
    expect(server.bootstraps[1]!.heard[0]!.query.join()).not.toContain("iep");
  });

  test("leave: it deregisters and ends", async () => {
    const { connection, server, device } = await registered();
    expect((await connection.ask({ method: "POST", path: "/1/0/4" }))?.code).toBe("2.04");
    await server.until(() => device.phase === "stopped");
    expect(connection.heard.some((one) => one.code === "0.04")).toBe(true);
  });

  test("set its clock", async () => {
    const { connection, clock } = await registered();
    expect((await connection.ask({ path: "/3/0/13" }))?.text).toBe(String(Math.floor(clock.now() / 1000)));
    await connection.ask({ method: "PUT", path: "/3/0/13", payload: "2000000000" });
    await clock.advance(5000);
    expect((await connection.ask({ path: "/3/0/13" }))?.text).toBe("2000000005");
  });
});

describe("a certificate renewal", () => {
  const name = (text: string) =>
    Buffer.concat([Buffer.of(0, 1, 0, text.length + 1), Buffer.from(`${text}\0`)]);

  async function renew(all: Running & { connection: Connection }, payload: Uint8Array) {
    const answers: Heard[] = [];
    const before = all.connection.heard.length;
    all.connection.tell({ method: "POST", path: "/35011/0/27002", contentFormat: 0, payload });
    await all.server.until(() => {
      answers.push(...all.connection.heard.slice(before).filter((one) => one.code === "2.04"));
      return answers.length > 0;
    });
    return answers[0]!;
  }

  test("makes a new key and uses the new certificate from the next handshake on", async () => {
    const all = await registered();
    const { connection, server, store, clock, device } = all;
    const before = store.items!.lwm2m;
    const answer = await renew(all, name("LWM2M"));
    expect(answer).toMatchObject({ text: "0", confirmable: true });
    expect(format(answer)).toBe(0);
    const [request] = connection.requests("/est/sen");
    const csr = new x509.Pkcs10CertificateRequest(Uint8Array.from(request!.payload));
    expect(csr.subject).toBe(`L=${DEVICE_ID}, OU=${ACCOUNT}, CN=${ENDPOINT}`);
    expect(csr.extensions.map(({ type }) => type)).toEqual(["2.5.29.15", "2.5.29.37"]);
    expect(await csr.verify()).toBe(true);
    const after = store.items!.lwm2m;
    expect(after.privateKey).not.toEqual(before.privateKey);
    expect(after.chain).not.toEqual(before.chain);

    connection.close();
    await clock.advance(14_000);
    await server.until(() => device.phase === "registered");
    expect(server.last.target.server.chain).toEqual(after.chain);
  });

  test.each([
    ["an error of the server", name("LWM2M"), "1287"],
    ["another certificate", name("Custom"), "1284"],
    ["the bootstrap certificate", name("mbed.BootstrapDeviceCert"), "1294"],
    ["no name", Buffer.alloc(0), "1286"],
    ["a name without its end", Buffer.of(0, 1, 0, 2, 0x41, 0x42), "1286"],
    ["a length beyond the end", Buffer.of(0, 1, 0, 9, 0x41, 0), "1286"],
    ["an entry it must know", Buffer.of(0, 7, 0, 0), "1286"],
    ["an entry it may skip", Buffer.concat([Buffer.of(0x80, 7, 0, 1, 0), name("Custom")]), "1284"],
  ])("with %s changes nothing", async (_, payload, result) => {
    const all = await registered({}, (one) => {
      one.intercept = (connection, request) => {
        if (request.path !== "/est/sen") return false;
        connection.reply(request, "4.00");
        return true;
      };
    });
    const before = structuredClone(all.store.items);
    expect((await renew(all, payload)).text).toBe(result);
    expect(all.store.items).toEqual(before);
    // The key of the attempt is nowhere, unlike in a bootstrap.
    expect(all.device.phase).toBe("registered");
  });

  test("comes one at a time", async () => {
    const all = await registered({}, (one) => {
      one.intercept = (_, request) => request.path === "/est/sen";
    });
    const payload = name("LWM2M");
    const ask = () => all.connection.ask({ method: "POST", path: "/35011/0/27002", payload });
    expect(await ask()).toBe(null);
    expect((await ask())?.code).toBe("4.12");
  });
});
