import { randomInt } from "node:crypto";
import { createSocket } from "node:dgram";
import { createServer } from "node:net";

/** Below the ports that systems hand out by themselves, so that no client's socket takes one while a server restarts. */
const [FIRST, LAST] = [12_000, 30_000];

const closed = (thing: { close(done: () => void): unknown }) =>
  new Promise<void>((done) => thing.close(done));

/** A number that is free for TCP and UDP on loopback, for servers that have to come back on it: else bind port 0. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(FIRST, LAST);
    const tcp = createServer();
    const udp = createSocket("udp4");
    const free = await Promise.all([
      new Promise<boolean>((done) =>
        tcp.once("error", () => done(false)).listen(port, "127.0.0.1", () => done(true)),
      ),
      new Promise<boolean>((done) =>
        udp.once("error", () => done(false)).bind(port, "127.0.0.1", () => done(true)),
      ),
    ]);
    await Promise.all([free[0] && closed(tcp), free[1] && closed(udp)]);
    if (free[0] && free[1]) return port;
  }
}
