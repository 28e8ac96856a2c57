import { createServer, type IncomingMessage, type ObserveReadStream, request } from "coap";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { systemClock } from "@/server/clock";
import { CoapEndpoint, type CoapResponse } from "@/server/coap";
import { connectUdp, type Listener, listenUdp, type Peer } from "@/server/transport";
import { eventually, pattern, sampleServer } from "./support";

const text = (response: { payload: Uint8Array }) => Buffer.from(response.payload).toString();

describe("the coap package asks us", () => {
  const server = sampleServer();
  let listener: Listener;

  beforeAll(async () => {
    listener = await listenUdp({
      host: "127.0.0.1",
      port: 0,
      clock: systemClock,
      onpeer: (peer) => server.attach(peer),
    });
  });
  afterAll(() => listener.close());

  function ask(
    pathname: string,
    options: {
      method?: "GET" | "PUT" | "POST";
      payload?: Buffer;
      observe?: boolean;
      confirmable?: boolean;
    } = {},
  ): Promise<IncomingMessage> {
    return new Promise((resolve, reject) => {
      const asked = request({
        hostname: "127.0.0.1",
        port: listener.local.port,
        method: options.method ?? "GET",
        pathname,
        observe: options.observe ?? false,
        confirmable: options.confirmable ?? true,
      });
      asked.on("response", resolve);
      asked.on("error", reject);
      asked.end(options.payload);
    });
  }

  it("small, unknown and slow resources", async () => {
    const hello = await ask("/hello");
    expect([hello.code, hello.payload.toString(), hello.headers["Content-Format"]]).toEqual([
      "2.05",
      "world",
      "text/plain",
    ]);
    expect((await ask("/nothing")).code).toBe("4.04");
    expect((await ask("/slow")).payload.toString()).toBe("late");
    expect((await ask("/hello", { confirmable: false })).payload.toString()).toBe("world");
  });

  it("big bodies both ways", async () => {
    expect((await ask("/big")).payload.equals(pattern(5000))).toBe(true);
    const back = await ask("/echo", { method: "POST", payload: pattern(700) });
    expect(back.payload.equals(pattern(700))).toBe(true);
  });

  it("observes, and ends it", async () => {
    const response = (await ask("/tick", { observe: true })) as unknown as ObserveReadStream;
    const heard: string[] = [];
    response.on("data", (chunk: Buffer) => heard.push(chunk.toString()));
    const observer = await eventually(() => server.observers[0] ?? Promise.reject(new Error("no observer")));
    let ended = "";
    observer.onend = (reason) => (ended = reason);
    await eventually(() => expect(heard).toEqual(["0"]));
    observer.notify({ payload: "1" });
    await eventually(() => expect(heard).toEqual(["0", "1"]));
    observer.notify({ payload: "2", confirmable: true });
    await eventually(() => expect(heard).toEqual(["0", "1", "2"]));
    // Sends GET with Observe 1 and the same token; close(true) would do so after it closed its socket.
    response.emit("deregister");
    await eventually(() => expect(ended).toBe("cancelled"));
    response.close();
  });
});

describe("we ask the coap package", () => {
  const endpoint = new CoapEndpoint({ clock: systemClock, handler: () => ({ code: "4.04" }) });
  let peer: Peer;
  let stopped = false;
  const server = createServer((incoming, outgoing) => {
    if (incoming.url === "/big") return outgoing.end(pattern(3000));
    if (incoming.url === "/none") {
      outgoing.code = "4.04";
      return outgoing.end("nothing there");
    }
    if (incoming.url === "/late") return setTimeout(() => outgoing.end("late"), 300);
    if (incoming.headers.Observe === 0) {
      let count = 0;
      outgoing.write(String(count));
      const timer = setInterval(() => outgoing.write(String(++count)), 50);
      outgoing.on("finish", () => {
        stopped = true;
        clearInterval(timer);
      });
      return;
    }
    outgoing.end(incoming.payload.length > 0 ? `${incoming.method} ${incoming.payload.length}` : "small");
  });

  beforeAll(async () => {
    const port = await new Promise<number>((resolve) =>
      server.listen(0, "127.0.0.1", () =>
        resolve((server as unknown as { _sock: { address(): { port: number } } })._sock.address().port),
      ),
    );
    peer = await connectUdp({ host: "127.0.0.1", port, clock: systemClock });
    endpoint.attach(peer, { initiator: true });
  });
  afterAll(() => {
    peer.close();
    server.close();
  });

  it("small, unknown, slow and big resources", async () => {
    expect(text(await endpoint.request(peer, { method: "GET", path: ["x"] }))).toBe("small");
    expect(await endpoint.request(peer, { method: "GET", path: ["none"] })).toMatchObject({ code: "4.04" });
    expect(text(await endpoint.request(peer, { method: "GET", path: ["late"] }))).toBe("late");
    const big = await endpoint.request(peer, { method: "GET", path: ["big"] });
    expect(Buffer.from(big.payload).equals(pattern(3000))).toBe(true);
  });

  it("uploads in blocks", async () => {
    const answer = await endpoint.request(peer, {
      method: "PUT",
      path: ["x"],
      payload: pattern(2000),
      blockSize: 512,
    });
    expect(text(answer)).toBe("PUT 2000");
  });

  it("observes, and cancels", async () => {
    const heard: CoapResponse[] = [];
    const observation = await endpoint.observe(peer, { method: "GET", path: ["o"] }, (one) =>
      heard.push(one),
    );
    expect(text(observation.first)).toBe("0");
    await eventually(() => expect(heard.length).toBeGreaterThan(2));
    expect(heard.slice(0, 2).map(text)).toEqual(["1", "2"]);
    await observation.cancel();
    await eventually(() => expect(stopped).toBe(true));
  });
});
