import { describe, expect, it } from "vitest";
import { type CoapResponse, type Observer, type ObserverEnd, Type } from "@/server/coap";
import { findOption, uintOption } from "@/server/coap/options";
import { settle } from "@/tests/support/fake-clock";
import { link, wire } from "./helpers";

const get = { method: "GET", path: ["3303", "0", "5700"] } as const;
const text = (response: { payload: Uint8Array }) => Buffer.from(response.payload).toString();

/** A link whose server takes observers. */
function observed(options: Parameters<typeof link>[1] = {}) {
  const observers: Observer[] = [];
  const ends: ObserverEnd[] = [];
  const seen: (number | null)[] = [];
  const it = link((request) => {
    seen.push(request.observe);
    return {
      code: "2.05",
      payload: "0",
      observe: (observer) => {
        observer.onend = (reason) => ends.push(reason);
        observers.push(observer);
      },
    };
  }, options);
  const heard: CoapResponse[] = [];
  return { ...it, observers, ends, seen, heard, hear: (response: CoapResponse) => void heard.push(response) };
}

describe("observing", () => {
  it("gets the first answer and every notification, confirmable ones acknowledged", async () => {
    const { clock, client, server, a, b, observers, heard, hear, seen } = observed();
    const starting = client.observe(a, get, hear);
    await clock.advance(1);
    const observation = await starting;
    expect(text(observation.first)).toBe("0");
    expect(observation.first.observe).toBe(1);
    expect(seen).toEqual([0]);
    observers[0]!.notify({ payload: "1" });
    await clock.advance(1);
    expect(server.notify(b, observation.token, { payload: "2", confirmable: true })).toBe(true);
    await clock.advance(1);
    expect(heard.map(text)).toEqual(["1", "2"]);
    expect(b.messages.map((message) => message.type)).toEqual([Type.ACK, Type.NON, Type.CON]);
    expect(a.messages.slice(1)).toMatchObject([{ type: Type.ACK, messageId: b.messages[2]!.messageId }]);
    expect(server.notify(b, "00", { payload: "2" })).toBe(false);
  });

  it("acknowledges a confirmable notification when it has been taken care of", async () => {
    const { clock, client, server, a, b } = observed();
    const taken: (() => void)[] = [];
    const heard: string[] = [];
    const starting = client.observe(a, get, (response) => {
      heard.push(text(response));
      return new Promise<void>((resolve, reject) =>
        taken.push(heard.length === 1 ? resolve : () => reject(new Error("the disk is full"))),
      );
    });
    await clock.advance(1);
    const { token } = await starting;
    server.notify(b, token, { payload: "1", confirmable: true });
    await clock.advance(1);
    let before = a.messages.length;
    expect(heard).toEqual(["1"]);
    taken.pop()?.();
    await clock.advance(1);
    expect(a.messages.slice(before)).toMatchObject([
      { type: Type.ACK, messageId: b.messages.at(-1)!.messageId },
    ]);

    // What could not be taken comes again, and is heard again.
    server.notify(b, token, { payload: "2", confirmable: true });
    await clock.advance(1);
    before = a.messages.length;
    taken.pop()?.();
    await clock.advance(1);
    expect(a.messages.slice(before)).toEqual([]);
    await clock.advance(3000);
    expect(heard).toEqual(["1", "2", "2"]);
  });

  it("drops what is older, and takes a lower number after 128 s or around the end of the numbers", async () => {
    const { clock, client, a, heard, hear } = observed();
    const starting = client.observe(a, get, hear);
    await clock.advance(1);
    await starting;
    const { token } = a.messages[0]!;
    let messageId = 5000;
    const notify = (sequence: number) =>
      a.onmessage!(
        wire({
          type: Type.NON,
          code: 0x45,
          messageId: messageId++,
          token,
          options: [uintOption(6, sequence)],
          payload: Buffer.from(String(sequence)),
        }),
      );
    for (const sequence of [10, 9, 10, 12, 11, 12 + 0x800000, 0xffffff - 0x800000]) notify(sequence);
    expect(heard.map(text)).toEqual(["10", "12", String(0xffffff - 0x800000)]);
    heard.length = 0;
    await clock.advance(128_001);
    notify(5);
    notify(0xffffff);
    notify(6);
    expect(heard.map(text)).toEqual(["5", "6"]);
  });

  it("acknowledges a repeated notification again, and many of them push no request out of memory", async () => {
    const { clock, client, a, heard, hear } = observed({
      client: { handler: () => ({ code: "2.04" }), limits: { maxRemembered: 4 } },
    });
    const starting = client.observe(a, get, hear);
    await clock.advance(1);
    await starting;
    a.onmessage!(wire({ code: 2, messageId: 1 }));
    const { token } = a.messages[0]!;
    for (let at = 10; at < 20; at++) {
      const notification = wire({ code: 0x45, messageId: at, token, options: [uintOption(6, at)] });
      a.onmessage!(notification);
      a.onmessage!(notification);
    }
    expect(heard).toHaveLength(10);
    expect(a.sent).toHaveLength(22);
    expect(a.messages.slice(-2)).toMatchObject([
      { type: Type.ACK, messageId: 19 },
      { type: Type.ACK, messageId: 19 },
    ]);
    a.onmessage!(wire({ code: 2, messageId: 1 }));
    expect(a.sent.at(-1)).toEqual(a.sent[1]);
  });

  it("ends with an error notification and is then unknown", async () => {
    const { clock, client, a, b, observers, ends, heard, hear } = observed();
    const starting = client.observe(a, get, hear);
    await clock.advance(1);
    await starting;
    observers[0]!.notify({ code: "4.04", confirmable: true });
    await clock.advance(1);
    expect(heard.map((response) => response.code)).toEqual(["4.04"]);
    expect(ends).toEqual(["error"]);
    const { token } = a.messages[0]!;
    for (const type of [Type.CON, Type.NON]) {
      a.onmessage!(wire({ type, code: 0x45, messageId: 7000 + type, token, options: [uintOption(6, 99)] }));
      expect(a.messages.at(-1)).toMatchObject({ type: Type.RST, code: 0, messageId: 7000 + type });
    }
    expect(heard).toHaveLength(1);
    expect(b.closed).toBe(false);
  });

  it("cancels with the same token and Observe 1", async () => {
    const { clock, client, server, a, b, ends, seen, hear, observers } = observed();
    const starting = client.observe(a, get, hear);
    await clock.advance(1);
    const observation = await starting;
    const cancelled = observation.cancel();
    await clock.advance(1);
    await cancelled;
    expect(seen).toEqual([0, 1]);
    expect(ends).toEqual(["cancelled"]);
    expect(a.messages[1]!.token).toEqual(a.messages[0]!.token);
    expect(a.messages[1]!.messageId).not.toBe(a.messages[0]!.messageId);
    expect(server.notify(b, observation.token, {})).toBe(false);
    observers[0]!.notify({ payload: "unheard" });
    await observation.cancel();
    expect(a.sent).toHaveLength(2);
  });

  it("resolves cancel also when the peer is silent", async () => {
    const { clock, client, a, hear } = observed();
    const starting = client.observe(a, get, hear);
    await clock.advance(1);
    const observation = await starting;
    a.other = null;
    let done = false;
    observation.cancel().then(() => (done = true));
    // A notification that crosses the cancellation is acknowledged and not taken for the answer.
    const { token } = a.messages[0]!;
    a.onmessage!(wire({ code: 0x45, messageId: 1, token, options: [uintOption(6, 50)] }));
    expect(a.messages.at(-1)).toMatchObject({ type: Type.ACK, messageId: 1 });
    await settle();
    expect(done).toBe(false);
    await clock.advance(62_000);
    expect(done).toBe(true);
  });

  it("dropped silently, the next notification gets a reset and ends it at the other side", async () => {
    for (const confirmable of [true, false]) {
      const { clock, client, a, observers, ends, heard, hear } = observed();
      const starting = client.observe(a, get, hear);
      await clock.advance(1);
      const observation = await starting;
      expect(client.drop(a, observation.token)).toBe(true);
      expect(client.drop(a, observation.token)).toBe(false);
      observers[0]!.notify({ payload: "1", confirmable });
      await clock.advance(1);
      expect(heard).toHaveLength(0);
      expect(ends).toEqual(["reset"]);
    }
  });

  it("says when the peer takes no observers", async () => {
    const { clock, client, a } = link(() => ({ code: "2.05", payload: "plain" }));
    const starting = client.observe(a, get, () => {});
    await clock.advance(1);
    const observation = await starting;
    expect(observation.first).toMatchObject({ code: "2.05", observe: null });
    await observation.cancel();
    expect(a.sent).toHaveLength(1);
  });

  it("adopts what the device notifies by itself and what was observed before a restart", async () => {
    const { clock, client, a, heard, hear } = observed();
    const adopted = client.adopt(a, "037c", null, hear);
    const before = client.adopt(a, "0102030405060708", get, hear);
    await clock.advance(1);
    const notify = (messageId: number, token: string, sequence: number) =>
      a.onmessage!(
        wire({
          code: 0x45,
          messageId,
          token: Buffer.from(token, "hex"),
          options: [uintOption(6, sequence)],
          payload: Buffer.from(token),
        }),
      );
    notify(1, "037c", 3);
    notify(2, "0102030405060708", 700);
    expect(heard.map(text)).toEqual(["037c", "0102030405060708"]);
    await adopted.cancel();
    expect(a.sent).toHaveLength(2);
    before.cancel();
    expect(findOption(a.messages[2]!.options, 6)).toEqual(Buffer.from([1]));
    expect(Buffer.from(a.messages[2]!.token).toString("hex")).toBe("0102030405060708");
    notify(3, "037c", 4);
    expect(a.messages.at(-1)).toMatchObject({ type: Type.RST, messageId: 3 });
  });

  it("reports a listener that throws and goes on", async () => {
    const { clock, client, a, observers, errors } = observed();
    const starting = client.observe(a, get, () => {
      throw new Error("boom");
    });
    await clock.advance(1);
    await starting;
    observers[0]!.notify({ payload: "1" });
    observers[0]!.notify({ payload: "2" });
    await clock.advance(1);
    expect(errors).toHaveLength(2);
  });

  it("fetches big notifications whole, with another token, and hands them out in order", async () => {
    const { clock, client, a, observers, heard, hear } = observed();
    const starting = client.observe(a, get, hear);
    await clock.advance(1);
    await starting;
    observers[0]!.notify({ payload: Buffer.alloc(2500, "a"), confirmable: true });
    await clock.advance(10);
    observers[0]!.notify({ payload: "b" });
    await clock.advance(10);
    expect(heard.map((response) => response.payload.length)).toEqual([2500, 1]);
    const blocks = a.messages.filter((message) => message.code === 1).slice(1);
    expect(blocks).toHaveLength(2);
    expect(blocks.every((message) => findOption(message.options, 6) === null)).toBe(true);
    expect(blocks[0]!.token).not.toEqual(a.messages[0]!.token);
  });

  it("starts with a big first answer", async () => {
    const observers: Observer[] = [];
    const { clock, client, a } = link(() => ({
      code: "2.05",
      payload: Buffer.alloc(3000, "x"),
      observe: (observer) => observers.push(observer),
    }));
    const heard: CoapResponse[] = [];
    const starting = client.observe(a, get, (response) => heard.push(response));
    await clock.advance(10);
    const observation = await starting;
    expect(observation.first).toMatchObject({ observe: 1 });
    expect(observation.first.payload).toHaveLength(3000);
    observers[0]!.notify({ payload: "next" });
    await clock.advance(10);
    expect(heard.map(text)).toEqual(["next"]);
  });

  it("has no observation when the first answer does not come", async () => {
    const { clock, client, a } = link(() => ({ code: "2.05" }));
    a.fate = () => [];
    const starting = client.observe(a, get, () => {}).catch((error) => error);
    await clock.advance(62_000);
    expect(await starting).toMatchObject({ kind: "timeout" });
    expect(clock.pending).toBe(0);
  });
});

describe("being observed", () => {
  it("sends the latest state after the acknowledgement of the one before", async () => {
    const { clock, client, a, b, observers, heard, hear } = observed();
    const starting = client.observe(a, get, hear);
    await clock.advance(1);
    await starting;
    let lost = 1;
    b.fate = () => (lost-- > 0 ? [] : [0]);
    observers[0]!.notify({ payload: "1", confirmable: true });
    observers[0]!.notify({ payload: "2", confirmable: true });
    observers[0]!.notify({ payload: "3", confirmable: true });
    await clock.advance(5000);
    expect(heard.map(text)).toEqual(["1", "3"]);
  });

  it("ends when nobody acknowledges, when replaced, and with the connection", async () => {
    const { clock, client, a, b, observers, ends, hear } = observed();
    const starting = client.observe(a, get, hear);
    await clock.advance(1);
    await starting;
    b.fate = () => [];
    observers[0]!.notify({ payload: "1", confirmable: true });
    await clock.advance(62_000);
    expect(ends).toEqual(["timeout"]);
    b.fate = () => [0];
    const again = (messageId: number) =>
      b.onmessage!(wire({ messageId, token: Buffer.from("same"), options: [uintOption(6, 0)] }));
    again(1);
    again(2);
    expect(ends).toEqual(["timeout", "replaced"]);
    // Numbers go on over a repeated registration.
    const numbers = b.messages.slice(-2).map((message) => findOption(message.options, 6)![0]!);
    expect(numbers[1]).toBeGreaterThan(numbers[0]!);
    b.close();
    expect(ends).toEqual(["timeout", "replaced", "closed"]);
  });

  it("confirms at least once a day", async () => {
    const { clock, client, a, b, observers, hear } = observed();
    const starting = client.observe(a, get, hear);
    await clock.advance(1);
    await starting;
    observers[0]!.notify({ payload: "1" });
    await clock.advance(24 * 3_600_000);
    observers[0]!.notify({ payload: "2" });
    await clock.advance(1);
    observers[0]!.notify({ payload: "3" });
    expect(b.messages.slice(1).map((message) => message.type)).toEqual([Type.NON, Type.CON, Type.NON]);
  });

  it("takes a bounded number of observers and answers the others plainly", () => {
    const { b, observers } = observed({ server: { limits: { maxObservers: 2 } } });
    for (let id = 1; id <= 3; id++)
      b.onmessage!(wire({ messageId: id, token: Buffer.from([id]), options: [uintOption(6, 0)] }));
    expect(observers).toHaveLength(2);
    expect(b.messages.map((message) => findOption(message.options, 6) !== null)).toEqual([true, true, false]);
  });
});
