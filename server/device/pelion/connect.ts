import { createPrivateKey, randomUUID } from "node:crypto";
import { connect as openTcp, type Socket } from "node:net";
import { Duplex } from "node:stream";
import { connect as openTls, type TLSSocket } from "node:tls";
import type { Clock } from "@/server/clock";
import { toPem } from "@/server/pki";
import { connectDtls, type DtlsClient, type Peer, resumeDtls } from "@/server/transport";
import { ConnectError } from "../link";
import type { StoredServer } from "./store";

/** The one suite of the stock build; its short tag is below what OpenSSL calls secure. */
const CIPHERS = "ECDHE-ECDSA-AES128-CCM8:@SECLEVEL=0";
const TIMEOUT_MS = 60_000;
/** What the client takes for a failed handshake, not for a bad network: an alert, or a chain it does not trust. */
const REFUSED = /alert|refused the handshake|certificate/i;
const HANDSHAKE_RECORD = 22;
const SERVER_HELLO = 2;

/** Where to connect and as whom. */
export interface PelionTarget {
  host: string;
  port: number;
  transport: "udp" | "tcp";
  server: StoredServer;
  /** Seconds since 1970 as far as the device knows; 0 for a fresh one. */
  deviceTime: number;
}

export interface PelionConnection {
  peer: Peer;
  /** Seconds since 1970 out of ServerHello.random; null where nothing is known of it. */
  serverTime: number | null;
  /** Over UDP: leaves this port and returns how to go on with the session from another one; null when it is over. */
  leave?: () => Resume | null;
}

/** Takes a session up again without a handshake. */
export type Resume = () => Promise<PelionConnection>;

/** Opens a connection; rejects with ConnectError. */
export type PelionConnect = (target: PelionTarget) => Promise<PelionConnection>;

/** A server's address as the client reads it: coaps only, the port is behind the last colon. */
export function parsePelionUri(text: string): { host: string; port: number; query: string[] } | null {
  const [, host = "", port = "", query = ""] = /^coaps:\/\/(.+):(\d{1,5})(?:\?([^:]*))?$/.exec(text) ?? [];
  const name = host.replace(/^\[(.*)\]$/, "$1");
  if (!name || Number(port) < 1 || Number(port) > 65_535) return null;
  return { host: name, port: Number(port), query: query.split("&").filter(Boolean) };
}

/** DTLS or TLS 1.2 with the client's one cipher suite; over TLS one message in each record. */
export function pelionConnect(clock: Clock): PelionConnect {
  return async (target) => {
    try {
      return await (target.transport === "tcp" ? overTls(target, clock) : overDtls(target, clock));
    } catch (error) {
      // OpenSSL's words alone, without the place in its code.
      const { reason, message: whole } = error as Error & { reason?: string };
      const message = reason ?? whole;
      throw new ConnectError(REFUSED.test(message) ? "refused" : "unreachable", message);
    }
  };
}

const timeOf = (random: Uint8Array): number => Buffer.from(random).readUInt32BE();

async function overDtls({ host, port, server }: PelionTarget, clock: Clock): Promise<PelionConnection> {
  let serverTime: number | null = null;
  const peer = await connectDtls({
    ...{ host, port, clock, ciphers: CIPHERS },
    // It takes the server's id and asks for none.
    ...({ cid: true, cidForm: "draft" } as const),
    ca: server.serverCa ? [server.serverCa] : [],
    ...(server.privateKey && { credentials: { chain: server.chain, privateKey: server.privateKey } }),
    onserverrandom: (random) => (serverTime = timeOf(random)),
  });
  return connection(peer, serverTime);

  function connection(client: DtlsClient, time: number | null): PelionConnection {
    const leave = () => {
      const session = client.leave();
      return session && (async () => connection(await resumeDtls({ host, port, clock }, session), null));
    };
    return { peer: client, serverTime: time, leave };
  }
}

async function overTls(target: PelionTarget, clock: Clock): Promise<PelionConnection> {
  const { host, port, server, deviceTime } = target;
  const socket = openTcp({ host, port });
  socket.setNoDelay(true);
  const tap = new Tap(socket);
  const pem = (der: Uint8Array) => toPem(der, "CERTIFICATE");
  const tls = openTls({
    socket: tap,
    servername: "",
    minVersion: "TLSv1.2",
    maxVersion: "TLSv1.2",
    ciphers: CIPHERS,
    ecdhCurve: "P-256",
    sigalgs: "ECDSA+SHA256:ECDSA+SHA224",
    ca: server.serverCa ? [pem(server.serverCa)] : [],
    cert: server.chain.map(pem).join(""),
    ...(server.privateKey && {
      key: createPrivateKey({ key: Buffer.from(server.privateKey), format: "der", type: "pkcs8" }).export({
        format: "pem",
        type: "pkcs8",
      }),
    }),
    // Only the chain counts: the name of the server is never looked at.
    checkServerIdentity: () => undefined,
  });
  const timer = clock.after(TIMEOUT_MS, () => tls.destroy(new Error(`${host} did not answer`)));
  try {
    await new Promise<void>((done, fail) => {
      tls.once("error", fail);
      socket.once("error", fail);
      tls.once("close", () => fail(new Error(`${host} ended the connection during the handshake`)));
      tls.once("secureConnect", () => {
        // A certificate from the future by its own clock makes the device shake hands again, now with the time it got.
        if (notBefore(tls) <= deviceTime * 1000) done();
        else tls.renegotiate({}, (error) => (error ? fail(error) : done()));
      });
    });
  } catch (error) {
    tls.destroy();
    socket.destroy();
    throw error;
  } finally {
    timer.cancel();
  }
  return { peer: new PelionTlsPeer(tls, socket), serverTime: tap.serverRandom && timeOf(tap.serverRandom) };
}

/** The latest begin of a certificate in the server's chain. */
function notBefore(tls: TLSSocket): number {
  let latest = 0;
  let certificate = tls.getPeerCertificate(true);
  for (
    const seen = new Set<string>();
    certificate?.fingerprint256;
    certificate = certificate.issuerCertificate
  ) {
    if (seen.has(certificate.fingerprint256)) break;
    seen.add(certificate.fingerprint256);
    latest = Math.max(latest, Date.parse(certificate.valid_from));
  }
  return latest;
}

/** The bytes of a TCP connection on their way, with a look at the server's first record. */
class Tap extends Duplex {
  serverRandom: Uint8Array | null = null;
  #head: Buffer | null = Buffer.alloc(0);

  constructor(private readonly socket: Socket) {
    super();
    socket.on("data", (chunk: Buffer) => {
      if (this.#head) this.#look(chunk);
      if (!this.push(chunk)) socket.pause();
    });
    socket.on("end", () => this.push(null));
    socket.on("error", (error) => this.destroy(error));
    socket.on("close", () => this.destroy());
  }

  #look(chunk: Buffer): void {
    const head = Buffer.concat([this.#head ?? Buffer.alloc(0), chunk]);
    this.#head = head;
    // Record header, handshake header, version, random [RFC5246 §6.2.1, §7.4.1.3].
    if (head.length < 43) return;
    if (head[0] === HANDSHAKE_RECORD && head[5] === SERVER_HELLO)
      this.serverRandom = Uint8Array.from(head.subarray(11, 43));
    this.#head = null;
  }

  override _read(): void {
    this.socket.resume();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.socket.write(chunk, done);
  }

  override _final(done: () => void): void {
    this.socket.end(done);
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.socket.destroy();
    done(error);
  }
}

/** A TLS connection on which every write is a record of its own. */
class PelionTlsPeer implements Peer {
  readonly id = randomUUID();
  readonly transport = "tls";
  readonly identity = null;
  readonly restored = false;
  readonly messageIdSeed = 0;
  readonly remote;
  closed = false;
  onmessage: ((message: Uint8Array) => void) | null = null;
  onclose: ((reason: string) => void) | null = null;
  readonly #queue: Uint8Array[] = [];
  #writing = false;
  #ending = false;

  constructor(
    private readonly tls: TLSSocket,
    private readonly socket: Socket,
  ) {
    this.remote = { address: socket.remoteAddress ?? "", port: socket.remotePort ?? 0 };
    tls.removeAllListeners("error");
    tls.removeAllListeners("close");
    // Node hands out what each record holds.
    tls.on("data", (record: Buffer) => this.onmessage?.(record));
    tls.on("error", (error) => this.#end(error.message));
    tls.on("end", () => this.#end("the server closed the connection"));
    tls.on("close", () => this.#end("the connection ended"));
    socket.removeAllListeners("error");
    socket.on("error", (error) => this.#end(error.message));
  }

  send(message: Uint8Array): void {
    if (this.closed || this.#ending) return;
    this.#queue.push(message);
    this.#write();
  }

  #write(): void {
    // Node would put what waits into one record.
    if (this.#writing) return;
    const message = this.#queue.shift();
    if (!message) {
      if (this.#ending) this.#end("closed");
      return;
    }
    this.#writing = true;
    this.tls.write(message, () => {
      this.#writing = false;
      this.#write();
    });
  }

  /** Ends the TCP connection without close_notify, as the client does, once what was said is out. */
  close(): void {
    this.#ending = true;
    if (!this.#writing) this.#end("closed");
  }

  #end(reason: string): void {
    if (this.closed) return;
    this.closed = true;
    this.socket.destroySoon();
    this.onclose?.(reason);
  }
}
