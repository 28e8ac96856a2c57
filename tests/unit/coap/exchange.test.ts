import { describe, expect, it } from "vitest";
import { CoapEndpoint, CoapFailure, type CoapResponse, type OutgoingResponse, Type } from "@/server/coap";
import { stringOption } from "@/server/coap/options";
import { FakePeer } from "@/tests/support/coap-peers";
import { FakeClock, settle } from "@/tests/support/fake-clock";
import { deferred, link, wire } from "./helpers";

const get = { method: "GET", path: ["3", "0"] } as const;
const text = (response: { payload: Uint8Array }) => Buffer.from(response.payload).toString();

async function failure(promise: Promise<unknown>): Promise<CoapFailure> {
  const error = await promise.then(
    () => null,
    (reason) => reason,
  );
  expect(error).toBeInstanceOf(CoapFailure);
  return error;
}

describe("requests and responses", () => {
  it("carries a request with all its parts and the answer with all of its", async () => {
    let order = "";
    const { clock, client, a, b } = link((request) => {
      expect(request).toMatchObject({
        method: "POST",
        path: ["rd", "ä/b"],
        query: ["ep=x", "lt=60"],
        confirmable: true,
        contentFormat: 40,
        accept: 11542,
        observe: null,
      });
      expect(text(request)).toBe("</3/0>");
      order += "handled ";
      return {
        code: "2.01",
        payload: "done",
        contentFormat: 0,
        locationPath: ["rd", "17"],
        maxAge: 90,
        sent: () => (order += `sent ${b.sent.length}`),
      };
    });
    const answer = client.request(a, {
      method: "POST",
      path: ["rd", "ä/b"],
      query: ["ep=x", "lt=60"],
      contentFormat: 40,
      accept: 11542,
      payload: Buffer.from("</3/0>"),
    });
    await clock.advance(10);
    expect(await answer).toMatchObject({
      code: "2.01",
      contentFormat: 0,
      locationPath: ["rd", "17"],
      maxAge: 90,
    });
    expect(text(await answer)).toBe("done");
    expect(order).toBe("handled sent 1");
    // One confirmable request, one piggybacked answer with the same id and token.
    expect(a.messages).toHaveLength(1);
    expect(b.messages[0]).toMatchObject({ type: Type.ACK, code: 0x41, messageId: a.messages[0]!.messageId });
    expect(a.messages[0]!.token).toHaveLength(8);
  });

  it("goes on with what follows an answer though nobody is there to take it", async () => {
    let followed = 0;
    let finish = () => {};
    const { clock, client, a, b } = link(async () => {
      await new Promise<void>((resolve) => {
        finish = resolve;
      });
      return { code: "2.02", sent: () => void followed++ };
    });
    client.request(a, { method: "DELETE", path: ["rd", "17"] }).catch(() => {});
    await clock.advance(10);
    b.close();
    finish();
    await clock.advance(10);
    expect(followed).toBe(1);
  });

  it("begins message ids at the seed and goes on by one", async () => {
    const { clock, client, a } = link(() => ({ code: "2.05" }));
    a.messageIdSeed = 7;
    const [fresh] = [new FakePeer("udp", clock)];
    fresh.messageIdSeed = 0xfffe;
    client.attach(fresh);
    for (let at = 0; at < 3; at++) {
      client.request(fresh, { ...get, confirmable: false, timeoutMs: 10 }).catch(() => {});
      await clock.advance(20);
    }
    expect(fresh.messages.map((message) => message.messageId)).toEqual([0xfffe, 0xffff, 0]);
    expect(new Set(fresh.messages.map((message) => Buffer.from(message.token).toString("hex"))).size).toBe(3);
  });

  it("answers a non-confirmable request with a non-confirmable answer", async () => {
    const { clock, client, a, b } = link(() => ({ code: "2.05", payload: "x" }));
    const answer = client.request(a, { ...get, confirmable: false });
    await clock.advance(10);
    expect((await answer).code).toBe("2.05");
    expect(a.messages[0]!.type).toBe(Type.NON);
    expect(b.messages[0]!.type).toBe(Type.NON);
    await clock.advance(60_000);
    expect(a.sent).toHaveLength(1);
  });

  it("tells a peer something once, ahead of what waits, and takes no answer", async () => {
    const { clock, client, a, b } = link((request) => ({ code: "2.05", payload: request.path.join("/") }));
    a.fate = () => [];
    const waiting = failure(client.request(a, get));
    a.fate = () => [0];
    client.tell(a, { method: "PUT", path: ["3", "0", "14"], contentFormat: 0, payload: Buffer.from("+02") });
    expect(a.messages.at(-1)).toMatchObject({ type: Type.NON, code: 3, payload: Buffer.from("+02") });
    await clock.advance(10);
    // Its answer is rejected; the request before it still waits for its own.
    expect(b.messages.at(-1)!.type).toBe(Type.NON);
    expect(a.messages.at(-1)!.type).toBe(Type.RST);
    expect(() => client.tell(a, { method: "PUT", path: ["3"], payload: Buffer.alloc(1025) })).toThrow(
      CoapFailure,
    );
    expect(() => client.tell(a, { method: "PUT", path: ["x".repeat(70_000)] })).toThrow(CoapFailure);
    a.close();
    expect(() => client.tell(a, get)).toThrow(CoapFailure);
    await waiting;
  });

  it("repeats a lost request with doubled waits and gives up after the last", async () => {
    const { clock, client, a } = link(() => ({ code: "2.05" }));
    const start = clock.now();
    const times: number[] = [];
    a.fate = () => {
      times.push(clock.now() - start);
      return [];
    };
    const answer = failure(client.request(a, get));
    await clock.advance(62_000);
    expect(times).toEqual([0, 2000, 6000, 14_000, 30_000]);
    expect(await answer).toMatchObject({ kind: "timeout" });
    expect(new Set(a.messages.map((message) => message.messageId)).size).toBe(1);
    expect(clock.pending).toBe(0);
  });

  it("sends a request with a new message id each time when asked to, and takes the answer to any of them", async () => {
    let handled = 0;
    const { clock, client, a, b } = link(() => ({ code: "2.05", payload: String(++handled) }));
    a.fate = () => [0];
    // The first answer is late: two more requests are under way by then.
    b.fate = () => (b.sent.length === 1 ? [7000] : []);
    const answer = client.request(a, { ...get, renew: true });
    await clock.advance(6500);
    expect(new Set(a.messages.map((message) => message.messageId)).size).toBe(3);
    expect(new Set(a.messages.map((message) => Buffer.from(message.token).toString("hex"))).size).toBe(1);
    await clock.advance(1000);
    expect([text(await answer), handled]).toEqual(["1", 3]);
    await clock.advance(60_000);
    expect(a.sent).toHaveLength(3);
  });

  it("gives up a request with new message ids like any other", async () => {
    const { clock, client, a } = link(() => ({ code: "2.05" }));
    a.fate = () => [];
    const answer = failure(client.request(a, { ...get, renew: true }));
    await clock.advance(62_000);
    expect(await answer).toMatchObject({ kind: "timeout" });
    expect(new Set(a.messages.map((message) => message.messageId)).size).toBe(5);
    expect(clock.pending).toBe(0);
  });

  it("gets every answer over a link that loses, doubles and reorders, and handles each request once", async () => {
    let handled = 0;
    const { clock, client, a, b } = link(async (request) => {
      handled++;
      return { code: "2.05", payload: request.query[0]! };
    });
    let seed = 1;
    const random = () => (seed = (seed * 48271) % 2147483647) / 2147483647;
    const fate = () => Array.from({ length: Math.floor(random() * 3) }, () => Math.floor(random() * 3000));
    a.fate = fate;
    b.fate = fate;
    const answers: CoapResponse[] = [];
    for (let at = 0; at < 50; at++)
      client.request(a, { ...get, query: [String(at)] }).then(
        (response) => answers.push(response),
        () => {},
      );
    await clock.advance(50 * 120_000);
    expect(answers.length).toBeGreaterThan(40);
    expect(answers.map(text)).toEqual([...answers.map(text)].toSorted((x, y) => Number(x) - Number(y)));
    expect(handled).toBeLessThanOrEqual(50);
    expect(clock.pending).toBe(0);
  });

  it("has one request under way per peer and a bounded queue", async () => {
    const gates = [deferred<OutgoingResponse>(), deferred<OutgoingResponse>()];
    let at = 0;
    const { clock, client, a } = link(() => gates[at++]!.promise, { client: { limits: { maxQueue: 1 } } });
    const first = client.request(a, get);
    const second = client.request(a, get);
    const third = await failure(client.request(a, get));
    expect(third).toMatchObject({
      kind: "cancelled",
      message: "too many requests are waiting for this peer",
    });
    await clock.advance(10);
    expect(at).toBe(1);
    gates[0]!.resolve({ code: "2.05", payload: "1" });
    await clock.advance(10);
    expect(text(await first)).toBe("1");
    expect(at).toBe(2);
    gates[1]!.resolve({ code: "2.05", payload: "2" });
    await clock.advance(10);
    expect(text(await second)).toBe("2");
  });

  it("fails with the reason: reset, timeout, closed, cancelled, too large", async () => {
    const { clock, client, a, b } = link(() => new Promise(() => {}));
    const late = failure(client.request(a, { ...get, timeoutMs: 5000 }));
    await clock.advance(5000);
    expect(await late).toMatchObject({ kind: "timeout", message: "no answer within 5 s" });

    const reset = failure(client.request(a, get));
    const mid = a.messages.at(-1)!.messageId;
    a.onmessage!(Buffer.from([0x70, 0, mid >> 8, mid & 255]));
    expect(await reset).toMatchObject({ kind: "reset" });

    expect(await failure(client.request(a, { ...get, payload: Buffer.alloc(1_048_577) }))).toMatchObject({
      kind: "too_large",
    });
    expect(await failure(client.request(a, { ...get, path: ["x".repeat(70_000)] }))).toMatchObject({
      kind: "too_large",
    });

    const cancelled = [failure(client.request(a, get)), failure(client.request(a, get))];
    client.forget(a);
    for (const one of cancelled) expect(await one).toMatchObject({ kind: "cancelled" });

    const closed = failure(client.request(a, get));
    b.close();
    expect(await closed).toMatchObject({
      kind: "closed",
      message: "the connection ended: closed by the peer",
    });
    expect(await failure(client.request(a, get))).toMatchObject({ kind: "closed" });
    await settle();
  });

  it("calls the close listener that was there before", () => {
    const clock = new FakeClock();
    const peer = new FakePeer("udp", clock);
    let heard = "";
    peer.onclose = (reason) => (heard = reason);
    new CoapEndpoint({ clock, handler: () => ({ code: "2.05" }) }).attach(peer);
    peer.end("gone");
    expect(heard).toBe("gone");
  });
});

describe("deduplication", () => {
  it("answers a repeated request from memory, for EXCHANGE_LIFETIME", async () => {
    let handled = 0;
    const { clock, b } = link(() => ({ code: "2.04", payload: String(++handled) }));
    b.onmessage!(wire({ code: 2 }));
    b.onmessage!(wire({ code: 2 }));
    await clock.advance(246_000);
    b.onmessage!(wire({ code: 2 }));
    expect(handled).toBe(1);
    expect(b.sent).toHaveLength(3);
    expect(new Set(b.sent.map((bytes) => bytes.toString())).size).toBe(1);
    await clock.advance(1000);
    b.onmessage!(wire({ code: 2 }));
    expect(handled).toBe(2);
  });

  it("takes the same id with another token for a new request", () => {
    let handled = 0;
    const { b } = link(() => ({ code: "2.04", payload: String(++handled) }));
    b.onmessage!(wire({ token: Buffer.from("1") }));
    b.onmessage!(wire({ token: Buffer.from("2") }));
    expect(handled).toBe(2);
  });

  it("takes other bytes with the same id and token for a new request, and the same again for a repetition", () => {
    const paths: string[] = [];
    const { b } = link(({ path }) => {
      paths.push(path.join("/"));
      return { code: "2.04", payload: path.join("/") };
    });
    const to = (path: string) => wire({ code: 2, options: [stringOption(11, path)] });
    for (const path of ["rd", "dp", "rd", "dp"]) b.onmessage!(to(path));
    expect(paths).toEqual(["rd", "dp"]);
    expect(b.messages.map(text)).toEqual(["rd", "dp", "rd", "dp"]);
  });

  it("ignores a repeated non-confirmable request", async () => {
    let handled = 0;
    const { b } = link(() => ({ code: "2.04", payload: String(++handled) }));
    b.onmessage!(wire({ type: Type.NON }));
    b.onmessage!(wire({ type: Type.NON }));
    expect([handled, b.sent.length]).toEqual([1, 1]);
  });

  it("keeps answers over forget, so that a repeated Register is not a second one", async () => {
    let handled = 0;
    const { b, server } = link((request) => {
      server.forget(request.peer);
      return { code: "2.01", payload: String(++handled) };
    });
    b.onmessage!(wire({ code: 2 }));
    b.onmessage!(wire({ code: 2 }));
    expect([handled, b.sent.length]).toEqual([1, 2]);
  });

  it("remembers a bounded number of messages and nothing of idle peers", async () => {
    let handled = 0;
    const { clock, b } = link(() => ({ code: "2.04", payload: String(++handled) }), {
      server: { limits: { maxRemembered: 4 } },
    });
    for (let id = 0; id < 6; id++) b.onmessage!(wire({ messageId: id }));
    expect(handled).toBe(6);
    b.onmessage!(wire({ messageId: 5 }));
    expect(handled).toBe(6);
    b.onmessage!(wire({ messageId: 0 }));
    expect(handled).toBe(7);
    expect(clock.pending).toBeGreaterThan(0);
    await clock.advance(300_000);
    expect(clock.pending).toBe(0);
  });
});

describe("separate responses", () => {
  it("acknowledges a slow request, answers later, and repeats the answer until it is acknowledged", async () => {
    const gate = deferred<OutgoingResponse>();
    const { clock, client, server, a, b } = link(() => gate.promise);
    server.adjust(b, { piggybackMs: 1500 });
    const answer = client.request(a, get);
    await clock.advance(1499);
    expect(b.sent).toHaveLength(0);
    await clock.advance(1);
    expect(b.messages[0]).toMatchObject({ type: Type.ACK, code: 0 });
    let lost = 0;
    b.fate = () => (lost++ < 2 ? [] : [0]);
    await clock.advance(60_000);
    gate.resolve({ code: "2.05", payload: "late" });
    await clock.advance(10_000);
    expect(text(await answer)).toBe("late");
    expect(b.messages.slice(1).map((message) => message.type)).toEqual([Type.CON, Type.CON, Type.CON]);
    expect(a.messages.at(-1)).toMatchObject({ type: Type.ACK, code: 0, messageId: b.messages[1]!.messageId });
    await clock.advance(60_000);
    expect(b.sent).toHaveLength(4);
  });

  it("acknowledges at once when a request that is being handled is repeated", async () => {
    const gate = deferred<OutgoingResponse>();
    let handled = 0;
    const { b } = link(() => {
      handled++;
      return gate.promise;
    });
    b.onmessage!(wire({}));
    b.onmessage!(wire({}));
    b.onmessage!(wire({}));
    expect(handled).toBe(1);
    expect(b.messages).toMatchObject([
      { type: Type.ACK, code: 0 },
      { type: Type.ACK, code: 0 },
    ]);
  });

  it("always piggybacks where the peer needs it", async () => {
    const gate = deferred<OutgoingResponse>();
    const { clock, server, b } = link(() => gate.promise);
    server.adjust(b, { piggybackMs: Number.POSITIVE_INFINITY });
    b.onmessage!(wire({}));
    b.onmessage!(wire({}));
    await clock.advance(20_000);
    expect(b.sent).toHaveLength(0);
    gate.resolve({ code: "2.04" });
    await settle();
    b.onmessage!(wire({}));
    expect(b.messages).toMatchObject([
      { type: Type.ACK, code: 0x44, messageId: 1 },
      { type: Type.ACK, code: 0x44, messageId: 1 },
    ]);
  });

  it("acknowledges a repeated separate response again", async () => {
    const { clock, client, a } = link(() => ({ code: "2.05" }));
    a.other = null;
    const answer = client.request(a, get);
    const { messageId, token } = a.messages[0]!;
    a.onmessage!(wire({ type: Type.ACK, code: 0, messageId, token: Buffer.alloc(0) }));
    await clock.advance(50_000);
    expect(a.sent).toHaveLength(1);
    const separate = wire({ code: 0x45, messageId: 99, token, payload: Buffer.from("x") });
    a.onmessage!(separate);
    a.onmessage!(separate);
    expect(text(await answer)).toBe("x");
    expect(a.messages.slice(1)).toMatchObject([
      { type: Type.ACK, code: 0, messageId: 99 },
      { type: Type.ACK, code: 0, messageId: 99 },
    ]);
  });

  it("takes a separate response that overtakes its acknowledgement", async () => {
    const { clock, client, a } = link(() => ({ code: "2.05" }));
    a.other = null;
    const answer = client.request(a, get);
    a.onmessage!(wire({ type: Type.NON, code: 0x45, messageId: 99, token: a.messages[0]!.token }));
    expect((await answer).code).toBe("2.05");
    await clock.advance(100_000);
    expect(a.sent).toHaveLength(1);
  });
});

describe("bad input", () => {
  const cases: [string, Uint8Array, number | null][] = [
    ["ping", Buffer.from([0x40, 0, 0, 9]), Type.RST],
    ["malformed confirmable", Buffer.from([0x40, 1, 0, 9, 0xff]), Type.RST],
    ["malformed non-confirmable", Buffer.from([0x50, 1, 0, 9, 0xff]), null],
    ["reserved class, confirmable", wire({ code: 0x21, messageId: 9 }), Type.RST],
    ["reserved class, non-confirmable", wire({ type: Type.NON, code: 0xe1, messageId: 9 }), null],
    ["response nobody waits for, confirmable", wire({ code: 0x45, messageId: 9 }), Type.RST],
    [
      "response nobody waits for, non-confirmable",
      wire({ type: Type.NON, code: 0x45, messageId: 9 }),
      Type.RST,
    ],
    ["acknowledgement of nothing", wire({ type: Type.ACK, code: 0x45, messageId: 9 }), null],
    ["Pelion's empty acknowledgement", Buffer.from([0x60, 0, 0, 9, 0xc0]), null],
    ["request as a reset", wire({ type: Type.RST, messageId: 9 }), null],
    ["other version", Buffer.from([0x80, 1, 0, 9]), null],
    ["nothing", Buffer.alloc(0), null],
    ["one byte", Buffer.from([0x40]), null],
  ];
  it.each(cases)("%s", (_, bytes, answer) => {
    const { b } = link(() => ({ code: "2.05" }));
    b.onmessage!(bytes);
    if (answer === null) expect(b.sent).toHaveLength(0);
    else expect(b.messages).toMatchObject([{ type: answer, code: 0, messageId: 9 }]);
  });

  it.each([
    ["unknown critical option", { options: [{ number: 2001, value: Buffer.alloc(0) }] }, 0x82],
    ["unknown elective option", { options: [{ number: 2000, value: Buffer.alloc(0) }] }, 0x45],
    ["proxy", { options: [{ number: 35, value: Buffer.from("coap://x") }] }, 0xa5],
    ["unknown method", { code: 31 }, 0x85],
    ["path that is not UTF-8", { options: [{ number: 11, value: Buffer.from([0xff, 0xfe]) }] }, 0x80],
    [
      "path with the replacement character",
      { options: [{ number: 11, value: Buffer.from("\ufffd") }] },
      0x45,
    ],
    ["reserved block size", { code: 3, options: [{ number: 27, value: Buffer.from([7]) }] }, 0x80],
    ["block option too long", { code: 3, options: [{ number: 27, value: Buffer.alloc(4) }] }, 0x82],
  ])("%s", (_, message, code) => {
    const { b } = link(() => ({ code: "2.05" }));
    b.onmessage!(wire(message));
    expect(b.messages).toMatchObject([{ type: Type.ACK, code }]);
  });

  it("ignores a non-confirmable request with an unknown critical option", () => {
    const { b } = link(() => ({ code: "2.05" }));
    b.onmessage!(wire({ type: Type.NON, options: [{ number: 2001, value: Buffer.alloc(0) }] }));
    expect(b.sent).toHaveLength(0);
  });

  it("answers 5.00 without words when the handler fails, and reports it", async () => {
    const { b, errors } = link((request) => {
      if (request.method === "GET") throw new Error("boom");
      if (request.method === "PUT") return { code: "9.99" as never };
      return Promise.reject(new Error("later"));
    });
    b.onmessage!(wire({ messageId: 1 }));
    b.onmessage!(wire({ messageId: 2, code: 2 }));
    b.onmessage!(wire({ messageId: 3, code: 3 }));
    await settle();
    expect(b.messages.map((message) => [message.code, message.payload.length])).toEqual([
      [0xa0, 0],
      [0xa0, 0],
      [0xa0, 0],
    ]);
    expect(errors.join()).toMatch(/boom[\s\S]*later/);
  });

  it("drops confirmable requests beyond the bound, so that their repetition finds room", async () => {
    const gate = deferred<OutgoingResponse>();
    const { b } = link(() => gate.promise, { server: { limits: { maxPending: 2 } } });
    for (let id = 1; id <= 3; id++) b.onmessage!(wire({ messageId: id, token: Buffer.from([id]) }));
    gate.resolve({ code: "2.04" });
    await settle();
    expect(b.sent).toHaveLength(2);
    b.onmessage!(wire({ messageId: 3, token: Buffer.from([3]) }));
    await settle();
    expect(b.sent).toHaveLength(3);
  });

  it("rejects an answer with an unknown critical option", async () => {
    const { client, a } = link(() => ({ code: "2.05" }));
    a.other = null;
    const answer = failure(client.request(a, get));
    const { messageId, token } = a.messages[0]!;
    a.onmessage!(
      wire({
        type: Type.ACK,
        code: 0x45,
        messageId,
        token,
        options: [{ number: 2001, value: Buffer.alloc(0) }],
      }),
    );
    expect(await answer).toMatchObject({ kind: "bad_response" });
  });

  it("does not take an answer with the right id and the wrong token", async () => {
    const { clock, client, a } = link(() => ({ code: "2.05" }));
    a.other = null;
    const answer = failure(client.request(a, get));
    a.onmessage!(wire({ type: Type.ACK, code: 0x45, messageId: a.messages[0]!.messageId }));
    await clock.advance(62_000);
    expect(await answer).toMatchObject({ kind: "timeout" });
    expect(a.sent).toHaveLength(5);
  });
});
