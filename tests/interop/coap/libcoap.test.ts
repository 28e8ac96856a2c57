import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { systemClock } from "@/server/clock";
import { CoapEndpoint, type CoapResponse } from "@/server/coap";
import {
  connectTcp,
  connectUdp,
  type Listener,
  listenTcp,
  listenTls,
  listenUdp,
  type Peer,
} from "@/server/transport";
import { OpensslFolder } from "@/tests/support/pki";
import { eventually, Folder, has, pattern, run, sampleServer, startCoapServer } from "./support";

const text = (response: { payload: Uint8Array }) => Buffer.from(response.payload).toString();

describe.skipIf(!has("coap-client-notls")).each(["udp", "tcp"] as const)(
  "libcoap asks us over %s",
  (transport) => {
    const errors: string[] = [];
    const server = sampleServer({ onerror: (_, message) => errors.push(message) });
    const folder = new Folder();
    let listener: Listener;

    beforeAll(async () => {
      const listen = transport === "udp" ? listenUdp : listenTcp;
      listener = await listen({
        host: "127.0.0.1",
        port: 0,
        clock: systemClock,
        onpeer: (peer) => server.attach(peer),
      });
    });
    afterAll(async () => {
      await listener.close();
      folder.remove();
    });

    const uri = (path: string) =>
      `coap${transport === "tcp" ? "+tcp" : ""}://127.0.0.1:${listener.local.port}/${path}`;
    const ask = (path: string, ...args: string[]) =>
      run("coap-client-notls", ["-B", "10", ...args, uri(path)]);

    it("small, unknown and slow resources", async () => {
      expect((await ask("hello")).stdout.toString().trim()).toBe("world");
      expect((await ask("nothing")).stderr).toContain("4.04");
      expect((await ask("slow")).stdout.toString().trim()).toBe("late");
      expect((await ask("hello", "-N")).stdout.toString().trim()).toBe("world");
    });

    it.each(["16", "64", "512", "1024"])("downloads in blocks of %s", async (size) => {
      expect((await ask("big", "-b", size, "-o", `${folder.path}/out-${size}`)).stderr).toBe("");
      expect(readFileSync(`${folder.path}/out-${size}`).equals(pattern(5000))).toBe(true);
    });

    it.each([
      ["64", 1500],
      ["512", 1131],
      ["1024", 20_000],
    ])("uploads in blocks of %s and reads it back", async (size, length) => {
      const file = folder.file(`in-${size}`, pattern(length));
      await ask(`stored-${size}`, "-m", "put", "-b", size, "-f", file);
      const back = await ask(`stored-${size}`, "-o", `${folder.path}/back-${size}`);
      expect(back.stderr).toBe("");
      expect(readFileSync(`${folder.path}/back-${size}`).equals(pattern(length))).toBe(true);
    });

    it("uploads without being told a block size", async () => {
      const file = folder.file("whole", pattern(9000));
      const { stdout } = await ask("echo", "-m", "post", "-f", file);
      expect(stdout.subarray(0, 9000).equals(pattern(9000))).toBe(true);
    });

    it.runIf(transport === "udp")("gets through when it loses messages", async () => {
      const { stdout } = await ask("hello", "-l", "1");
      expect(stdout.toString().trim()).toBe("world");
    });

    it("observes", async () => {
      const before = server.observers.length;
      const asking = ask("tick", "-s", "1", "-w");
      const observer = await eventually(
        () => server.observers[before] ?? Promise.reject(new Error("no observer")),
      );
      let ended = "";
      observer.onend = (reason) => (ended = reason);
      for (const value of ["1", "2", "3"]) observer.notify({ payload: value, confirmable: value === "2" });
      const { stdout } = await asking;
      const lines = stdout.toString().trim().split("\n");
      expect(lines[0]).toBe("0");
      expect(lines.at(-1)).toBe("3");
      await eventually(() => expect(["cancelled", "reset", "closed"]).toContain(ended || "closed"));
    });

    it("was understood throughout", () => {
      expect(errors).toEqual([]);
    });
  },
);

describe.skipIf(!has("coap-server-notls")).each(["udp", "tcp"] as const)(
  "we ask libcoap over %s",
  (transport) => {
    const endpoint = new CoapEndpoint({ clock: systemClock, handler: () => ({ code: "4.04" }) });
    let server: Awaited<ReturnType<typeof startCoapServer>>;
    let peer: Peer;

    beforeAll(async () => {
      server = await startCoapServer();
      const connect = transport === "udp" ? connectUdp : connectTcp;
      peer = await eventually(async () => {
        const candidate = await connect({ host: "127.0.0.1", port: server.port, clock: systemClock });
        endpoint.attach(candidate, { initiator: true });
        await endpoint.request(candidate, { method: "GET", path: [], timeoutMs: 1000 }).catch((error) => {
          candidate.close();
          throw error;
        });
        return candidate;
      });
    });
    afterAll(async () => {
      peer?.close();
      await server.stop();
    });

    it("small and unknown resources", async () => {
      expect(text(await endpoint.request(peer, { method: "GET", path: [] }))).toContain("libcoap");
      const links = await endpoint.request(peer, { method: "GET", path: [".well-known", "core"] });
      expect(links.contentFormat).toBe(40);
      expect(text(links)).toContain("</time>");
      expect(await endpoint.request(peer, { method: "GET", path: ["none"] })).toMatchObject({ code: "4.04" });
    });

    it("gets a separate response", async () => {
      const answer = await endpoint.request(peer, { method: "GET", path: ["async"], query: ["1"] });
      expect(answer.code).toBe("2.05");
      expect(text(answer)).toBe("done");
    });

    it.each([
      [16, 300],
      [512, 1600],
      [1024, 20_000],
    ])("up and down in blocks of %i", async (blockSize, length) => {
      const path = ["example_data"];
      const put = await endpoint.request(peer, { method: "PUT", path, payload: pattern(length), blockSize });
      expect(put.code).toMatch(/^2\.0[14]/);
      const back = await endpoint.request(peer, { method: "GET", path, blockSize });
      expect(Buffer.from(back.payload).equals(pattern(length))).toBe(true);
    });

    it("observes a big resource, and cancels", async () => {
      const path = ["example_data"];
      const heard: CoapResponse[] = [];
      const observation = await endpoint.observe(peer, { method: "GET", path }, (one) => heard.push(one));
      expect(observation.first.observe).not.toBeNull();
      const put = (length: number) =>
        endpoint.request(peer, { method: "PUT", path, payload: pattern(length) });
      await put(40);
      await eventually(() => expect(heard.at(-1)?.payload).toHaveLength(40));
      await put(4000);
      await eventually(() => expect(heard.at(-1)?.payload).toHaveLength(4000));
      expect(Buffer.from(heard.at(-1)!.payload).equals(pattern(4000))).toBe(true);
      await observation.cancel();
      const before = heard.length;
      await put(50);
      await endpoint.request(peer, { method: "GET", path });
      expect(heard).toHaveLength(before);
    });
  },
);

describe.skipIf(!has("coap-client-openssl") || !has("openssl"))("libcoap asks us over TLS", () => {
  const pki = new OpensslFolder();
  const server = sampleServer();
  let listener: Listener;

  beforeAll(async () => {
    const extensions = ["basicConstraints=critical,CA:TRUE"];
    pki.certificate("ca", { subject: "/CN=Test CA", extensions });
    const leaf = pki.certificate("server", { subject: "/CN=127.0.0.1", issuer: "ca" });
    pki.certificate("client", { subject: "/CN=client", issuer: "ca" });
    pki.run("pkcs8", "-topk8", "-nocrypt", "-in", "server.key", "-outform", "DER", "-out", "server.p8");
    listener = await listenTls({
      host: "127.0.0.1",
      port: 0,
      credentials: { chain: [leaf], privateKey: pki.read("server.p8") },
      verify: () => ({ ok: true, identity: {} }),
      onpeer: (peer) => server.attach(peer),
      onfailure: () => {},
      clock: systemClock,
    });
  });
  afterAll(async () => {
    await listener?.close();
    pki.remove();
  });

  it.each([
    ["hello", "world"],
    ["big", pattern(5000).toString()],
  ])("%s", async (path, content) => {
    const { stdout } = await run("coap-client-openssl", [
      ...["-B", "10", "-n", "-c", `${pki.path}/client.pem`, "-j", `${pki.path}/client.key`],
      ...["-C", `${pki.path}/ca.pem`, `coaps+tcp://127.0.0.1:${listener.local.port}/${path}`],
    ]);
    expect(stdout.toString().trimEnd()).toBe(content);
  });
});
