import { describe, expect, it } from "vitest";
import { CoapFailure, Type } from "@/server/coap";
import { type Block, blockOption, findOption, readBlock, uintOption } from "@/server/coap/options";
import { link, wire } from "./helpers";

const bytes = (length: number) => Buffer.from(Array.from({ length }, (_, at) => (at * 7 + (at >> 8)) & 255));
const block1 = (num: number, more: boolean, szx: number) => blockOption(27, { num, more, szx });
const block2 = (num: number, more: boolean, szx: number) => blockOption(23, { num, more, szx });
const blockOf = (
  message: { options: readonly { number: number; value: Uint8Array }[] },
  number: number,
): Block | null => {
  const value = findOption(message.options, number);
  return value && readBlock(value);
};

describe("upload in blocks", () => {
  it.each([
    [1024, 3000, 3],
    [512, 1131, 3],
    [512, 512, 1],
    [16, 100, 7],
    [700, 600, 2],
  ])("in blocks of %i: %i bytes take %i messages", async (blockSize, length, messages) => {
    const payload = bytes(length);
    const { clock, client, a, b } = link((request) => {
      expect(Buffer.from(request.payload).equals(payload)).toBe(true);
      expect(request).toMatchObject({ path: ["0"], contentFormat: 11542 });
      return { code: "2.04" };
    });
    const answer = client.request(a, {
      method: "PUT",
      path: ["0"],
      contentFormat: 11542,
      payload,
      blockSize,
    });
    await clock.advance(100);
    expect((await answer).code).toBe("2.04");
    expect(a.sent).toHaveLength(messages);
    if (messages === 1) return;
    expect(readSize(a.messages[0]!.options)).toBe(length);
    expect(b.messages.slice(0, -1).every((message) => message.code === 0x5f)).toBe(true);
    expect(blockOf(b.messages.at(-1)!, 27)).toMatchObject({ num: messages - 1, more: false });
    // Path and format are in every block, the length only in the first [RFC7959 §4].
    expect(a.messages.every((message) => findOption(message.options, 12) !== null)).toBe(true);
    expect(readSize(a.messages[1]!.options)).toBeNull();
  });

  it("survives loss: every block is repeated until it is acknowledged, none taken twice", async () => {
    const payload = bytes(5000);
    let handled = 0;
    const { clock, client, a, b } = link((request) => {
      handled++;
      return { code: "2.04", payload: String(Buffer.from(request.payload).equals(payload)) };
    });
    a.fate = (_, index) => (index % 3 === 0 ? [] : [5, 20]);
    b.fate = (_, index) => (index % 4 === 1 ? [] : [5, 9000]);
    const answer = client.request(a, { method: "PUT", path: ["0"], payload, blockSize: 512 });
    await clock.advance(110_000);
    expect(Buffer.from((await answer).payload).toString()).toBe("true");
    expect(handled).toBe(1);
  });

  it("takes a smaller size from the first acknowledgement and from a refusal", async () => {
    // As Pelion's client refuses what is longer than 512 bytes.
    for (const whole of [true, false]) {
      const { clock, client, a } = link(() => ({ code: "2.04" }));
      a.other = null;
      const answer = client.request(a, {
        method: "PUT",
        path: ["0"],
        payload: bytes(whole ? 900 : 1200),
        blockSize: 1024,
      });
      const reply = (code: number, options: ReturnType<typeof block1>[]) => {
        const { messageId, token } = a.messages.at(-1)!;
        a.onmessage!(wire({ type: Type.ACK, code, messageId, token, options }));
      };
      expect(blockOf(a.messages[0]!, 27)).toEqual(whole ? null : { num: 0, more: true, szx: 6 });
      reply(0x8d, [block1(0, false, 5)]);
      expect(blockOf(a.messages[1]!, 27)).toEqual({ num: 0, more: true, szx: 5 });
      reply(0x5f, [block1(0, true, 4)]);
      expect(blockOf(a.messages[2]!, 27)).toEqual({ num: 2, more: true, szx: 4 });
      reply(0x5f, [block1(2, true, 4)]);
      expect(blockOf(a.messages[3]!, 27)).toMatchObject({ num: 3, szx: 4 });
      if (!whole) reply(0x5f, [block1(3, true, 4)]);
      reply(0x44, [block1(whole ? 3 : 4, false, 4)]);
      await clock.advance(1);
      expect((await answer).code).toBe("2.04");
    }
  });

  it("hands out a refusal without a size as it is", async () => {
    const { clock, client, a } = link(() => ({ code: "4.13" }));
    const answer = client.request(a, { method: "PUT", path: ["0"], payload: bytes(3000) });
    await clock.advance(10);
    expect((await answer).code).toBe("4.13");
  });

  it("refuses bodies beyond the bound with the bound", async () => {
    const { b } = link(() => ({ code: "2.04" }), { server: { maxPayload: 1500 } });
    b.onmessage!(
      wire({ code: 3, options: [block1(0, true, 6), uintOption(60, 5000)], payload: bytes(1024) }),
    );
    expect(b.messages[0]).toMatchObject({ code: 0x8d });
    expect(readSize(b.messages[0]!.options)).toBe(1500);
    b.onmessage!(wire({ messageId: 2, code: 3, options: [block1(0, true, 6)], payload: bytes(1024) }));
    b.onmessage!(wire({ messageId: 3, code: 3, options: [block1(1, true, 6)], payload: bytes(1024) }));
    expect(b.messages.map((message) => message.code)).toEqual([0x8d, 0x5f, 0x8d]);
  });

  it("answers 4.08 when a block is missing and 4.00 when one has the wrong length", () => {
    const { b } = link(() => ({ code: "2.04" }));
    b.onmessage!(wire({ messageId: 1, code: 3, options: [block1(1, false, 6)], payload: bytes(10) }));
    b.onmessage!(wire({ messageId: 2, code: 3, options: [block1(0, true, 6)], payload: bytes(1024) }));
    b.onmessage!(wire({ messageId: 3, code: 3, options: [block1(2, false, 6)], payload: bytes(10) }));
    b.onmessage!(wire({ messageId: 4, code: 3, options: [block1(0, true, 6)], payload: bytes(1000) }));
    expect(b.messages.map((message) => message.code)).toEqual([0x88, 0x5f, 0x88, 0x80]);
  });

  /** A peer that does not know repetitions, and has lost what it had of a body after the last block. */
  const forgetful = (lost: number) => {
    let last = 0;
    return ({ payload }: { payload: Uint8Array }) => {
      if (++last <= lost) return { code: "4.08" as const };
      return { code: "2.04" as const, payload: String(payload.length) };
    };
  };

  it.each([
    ["once", 1, "2.04", 6],
    ["time and again", 9, "4.08", 9],
  ])("starts a body over that the peer has lost %s", async (_, lost, code, messages) => {
    const { clock, client, a } = link(forgetful(lost));
    const answer = client.request(a, { method: "PUT", path: ["0"], payload: bytes(3000) });
    await clock.advance(100);
    expect((await answer).code).toBe(code);
    expect(a.sent).toHaveLength(messages);
    expect(a.messages.map((message) => blockOf(message, 27)!.num).slice(0, 4)).toEqual([0, 1, 2, 0]);
  });

  it("does not start over what the peer may have carried out and must not twice", async () => {
    const { clock, client, a } = link(forgetful(1));
    const answer = client.request(a, { method: "POST", path: ["0"], payload: bytes(3000) });
    await clock.advance(100);
    expect((await answer).code).toBe("4.08");
    expect(a.sent).toHaveLength(3);
  });

  it("starts a POST over whose middle the peer has lost", async () => {
    const { clock, client, a, b } = link(() => ({ code: "2.04" }));
    const answer = client.request(a, { method: "POST", path: ["0"], payload: bytes(3000) });
    // The second block finds a peer that knows nothing of the first: it restarted.
    a.fate = (_, index) => (index === 1 ? [] : [0]);
    const incomplete = () => {
      const { messageId, token } = a.messages[1]!;
      a.onmessage!(wire({ type: Type.ACK, code: 0x88, messageId, token }));
    };
    await clock.advance(1);
    incomplete();
    await clock.advance(100);
    expect((await answer).code).toBe("2.04");
    expect(a.sent).toHaveLength(5);
    expect(b.messages.map(({ code }) => code)).toEqual([0x5f, 0x5f, 0x5f, 0x44]);
  });

  it("keeps uploads of different resources apart, a bounded number, for a bounded time", async () => {
    const seen: string[] = [];
    const { clock, b } = link((request) => {
      seen.push(`${request.path[0]} ${request.payload.length}`);
      return { code: "2.04" };
    });
    let id = 0;
    const put = (path: string, num: number, more: boolean, length: number) => {
      const options = [{ number: 11, value: Buffer.from(path) }, block1(num, more, 2)];
      b.onmessage!(wire({ messageId: ++id, code: 3, options, payload: bytes(length) }));
      return b.messages.at(-1)!.code;
    };
    expect([put("a", 0, true, 64), put("b", 0, true, 64)]).toEqual([0x5f, 0x5f]);
    expect([put("a", 1, false, 5), put("b", 1, false, 6)]).toEqual([0x44, 0x44]);
    expect(seen).toEqual(["a 69", "b 70"]);
    put("a", 0, true, 64);
    put("b", 0, true, 64);
    put("c", 0, true, 64);
    expect(put("a", 1, false, 1)).toBe(0x88);
    expect(put("c", 1, false, 1)).toBe(0x44);
    await clock.advance(300_000);
    expect(put("b", 1, false, 1)).toBe(0x88);
  });
});

describe("download in blocks", () => {
  it.each([
    [1024, 3000, undefined],
    [512, 20_000, undefined],
    [1024, 3000, 64],
  ])("server blocks of %i: %i bytes", async (blockSize, length, clientBlock) => {
    let handled = 0;
    const payload = bytes(length);
    const { clock, client, server, a, b } = link(() => {
      handled++;
      return { code: "2.05", payload, contentFormat: 42, maxAge: 5 };
    });
    server.adjust(b, { blockSize });
    const answer = client.request(a, { method: "GET", path: ["fw"], accept: 42, blockSize: clientBlock });
    await clock.advance(1000);
    expect(Buffer.from((await answer).payload).equals(payload)).toBe(true);
    expect(await answer).toMatchObject({ code: "2.05", contentFormat: 42, maxAge: 5 });
    expect(handled).toBe(1);
    expect(findOption(b.messages[0]!.options, 28)).not.toBeNull();
    // A GET keeps its token through all blocks, and later requests do not say Observe.
    expect(new Set(a.messages.map((message) => Buffer.from(message.token).toString("hex"))).size).toBe(1);
  });

  it("answers the blocks of a POST as Pelion's enrolment asks for them", async () => {
    let handled = 0;
    const payload = bytes(1100);
    const { clock, b } = link(() => {
      handled++;
      return { code: "2.04", payload };
    });
    const ask = (messageId: number, num: number, body: Uint8Array) =>
      b.onmessage!(
        wire({
          messageId,
          code: 2,
          options: [
            { number: 11, value: Buffer.from("est") },
            { number: 11, value: Buffer.from("sen") },
            block2(num, false, 5),
          ],
          payload: body,
        }),
      );
    ask(1, 0, bytes(298));
    ask(2, 1, Buffer.alloc(0));
    ask(3, 2, Buffer.alloc(0));
    ask(4, 3, Buffer.alloc(0));
    expect(handled).toBe(1);
    expect(Buffer.concat(b.messages.slice(0, 3).map((message) => message.payload)).equals(payload)).toBe(
      true,
    );
    expect(b.messages.map((message) => blockOf(message, 23))).toEqual([
      { num: 0, more: true, szx: 5 },
      { num: 1, more: true, szx: 5 },
      { num: 2, more: false, szx: 5 },
      null,
    ]);
    expect(b.messages[3]!.code).toBe(0x80);
    await clock.advance(100_000);
    ask(5, 1, Buffer.alloc(0));
    expect(b.messages[4]!.code).toBe(0x88);
    expect(handled).toBe(1);
  });

  it("carries big bodies both ways in one exchange", async () => {
    const { clock, client, a } = link((request) => ({
      code: "2.04",
      payload: Buffer.from(request.payload).reverse(),
    }));
    const answer = client.request(a, { method: "POST", path: ["x"], payload: bytes(2500), blockSize: 256 });
    await clock.advance(1000);
    expect(Buffer.from((await answer).payload).equals(bytes(2500).reverse())).toBe(true);
  });

  it("begins again when the resource changes, and fails when it does so twice", async () => {
    for (const changes of [1, 9]) {
      let handled = 0;
      const { clock, client, a, b } = link(() => ({
        code: "2.05",
        payload: Buffer.alloc(2048, handled++ < changes ? handled : 99),
      }));
      // Every later block comes when its answer is forgotten, so the handler is asked anew.
      b.fate = () => [61_000];
      const answer = client.request(a, {
        method: "GET",
        path: ["x"],
        confirmable: false,
        timeoutMs: 900_000,
      });
      answer.catch(() => {});
      await clock.advance(600_000);
      const result = await answer.catch((error: CoapFailure) => error);
      if (changes > 1) expect(result).toBeInstanceOf(CoapFailure);
      else expect(result).toMatchObject({ code: "2.05" });
    }
  });

  it.each([
    ["a gap", block2(2, true, 6), 1024],
    ["a short block", block2(1, true, 6), 100],
    ["no number", null, 100],
  ])("fails on %s", async (_, option, length) => {
    const { client, a } = link(() => ({ code: "2.05" }));
    a.other = null;
    const answer = client.request(a, { method: "GET", path: ["x"] }).catch((error: CoapFailure) => error);
    const reply = (options: ReturnType<typeof block2>[], payload: Uint8Array) => {
      const { messageId, token } = a.messages.at(-1)!;
      a.onmessage!(wire({ type: Type.ACK, code: 0x45, messageId, token, options, payload }));
    };
    reply([block2(0, true, 6)], bytes(1024));
    reply(option ? [option] : [], bytes(length));
    expect(await answer).toMatchObject({ kind: "bad_response" });
  });

  it("refuses an answer beyond the bound", async () => {
    const { clock, client, a } = link(() => ({ code: "2.05", payload: bytes(5000) }), {
      client: { maxPayload: 4000 },
    });
    const answer = client.request(a, { method: "GET", path: ["x"] }).catch((error: CoapFailure) => error);
    await clock.advance(100);
    expect(await answer).toMatchObject({ kind: "too_large" });
  });
});

function readSize(options: readonly { number: number; value: Uint8Array }[]): number | null {
  const value = findOption(options, 60);
  return value && Buffer.from(value).readUIntBE(0, value.length);
}
