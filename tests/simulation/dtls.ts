import { createHash } from "node:crypto";
import { crc32 } from "node:zlib";
import { alertName } from "@/server/transport/alerts";
import type { DtlsParty, ServerHandshake, ServerHandshakes } from "@/server/transport/dtls-handshake";
import {
  type CidForm,
  ContentType,
  deriveKeyBlock,
  HEADER_BYTES,
  openRecord,
  parseRecords,
  RecordChannel,
  type RecordView,
  type Suite,
  suiteOf,
} from "@/server/transport/record-layer";
import type { Address, Peer } from "@/server/transport/types";
import { type Network, type Place, SERVER } from "./network";
import type { Life } from "./world";

const SUITE = suiteOf(0xc0ae) as Suite;
const HANDSHAKE_HEADER = 12;
const FINISHED = 20;
const CLIENT_HELLO = 1;

function record(type: number, sequence: number, body: Buffer): Buffer {
  const head = Buffer.alloc(HEADER_BYTES);
  head[0] = type;
  head.writeUInt16BE(0xfefd, 1);
  head.writeUIntBE(sequence, 5, 6);
  head.writeUInt16BE(body.length, 11);
  return Buffer.concat([head, body]);
}

function handshakeMessage(type: number, body: Buffer): Buffer {
  const head = Buffer.alloc(HANDSHAKE_HEADER);
  head[0] = type;
  head.writeUIntBE(body.length, 1, 3);
  head.writeUIntBE(body.length, 9, 3);
  return Buffer.concat([head, body]);
}

/** JSON with a checksum, as a handshake has its Finished: what was damaged on the way is not taken for something else. */
function pack(content: object): Buffer {
  const text = Buffer.from(JSON.stringify(content));
  const sum = Buffer.alloc(4);
  sum.writeUInt32BE(crc32(text));
  return Buffer.concat([sum, text]);
}

function unpack<T>(bytes: Buffer): T | null {
  if (bytes.length < 4 || bytes.readUInt32BE(0) !== crc32(bytes.subarray(4))) return null;
  return JSON.parse(bytes.subarray(4).toString()) as T;
}

interface Hello {
  chain: string[];
  /** The form in which it offers connection ids. */
  cid: CidForm | null;
}

interface Finished {
  random: string;
  /** The id our records are to carry; empty for none. */
  cid: string;
  time: number;
}

function keysOf(clientRandom: Buffer, serverRandom: Buffer): string {
  const master = createHash("sha256").update(clientRandom).update(serverRandom).digest();
  return deriveKeyBlock(SUITE, { master, clientRandom, serverRandom }).toString("latin1");
}

/**
 * The server's side of a handshake that costs a function call: a ClientHello that is one (so the cookie is the real one),
 * with the client's chain behind it, and one message back. From there on the record layer is the one that ships.
 */
export class StandIns implements ServerHandshakes {
  constructor(
    private readonly life: Life,
    private readonly network: Network,
  ) {}

  begin(party: DtlsParty): ServerHandshake {
    return new StandIn(party, this.life, this.network);
  }

  free(): void {}
}

class StandIn implements ServerHandshake {
  sentAlert: number | null = null;
  readonly ssl;
  #output: Buffer | null = null;
  #answer: Buffer | null = null;
  #channel: RecordChannel | null = null;
  #repeatAt = Number.POSITIVE_INFINITY;
  #wait = 1000;

  constructor(party: DtlsParty, life: Life, network: Network) {
    const self = this;
    let fault: { text: string; alertReceived: number | null } | null = null;
    this.ssl = {
      get fault() {
        return fault as never;
      },
      get established() {
        return self.#channel !== null;
      },
      renegotiating: false,
      ended: false,
      acceptHello(bytes: Buffer) {
        const start = HEADER_BYTES + HANDSHAKE_HEADER;
        const random = bytes.subarray(start + 2, start + 34);
        const cookieAt = start + 34 + 1;
        const body = cookieAt + 1 + (bytes[cookieAt] as number);
        const hello = unpack<Hello>(bytes.subarray(body));
        if (!hello) {
          fault = { text: "malformed ClientHello", alertReceived: null };
          self.sentAlert = 50;
          self.#output = record(ContentType.alert, 1, Buffer.of(2, self.sentAlert));
          return;
        }
        const chain = hello.chain.map((one) => Buffer.from(one, "base64"));
        if (party.onverify?.(chain) !== 0) {
          fault = { text: "certificate verify failed", alertReceived: null };
          self.sentAlert = 48;
          self.#output = record(ContentType.alert, 1, Buffer.of(2, self.sentAlert));
          return;
        }
        if (hello.cid) party.oncid?.(Buffer.alloc(0), hello.cid);
        const serverRandom = Buffer.alloc(32);
        network.world.random.fill(serverRandom);
        const finished: Finished = {
          random: serverRandom.toString("base64"),
          cid: Buffer.from(party.cids.ourCid, "latin1").toString("base64"),
          time: Math.floor(life.clock.now() / 1000),
        };
        self.#answer = record(ContentType.handshake, 1, handshakeMessage(FINISHED, pack(finished)));
        self.#output = self.#answer;
        const keys = keysOf(Buffer.from(random), serverRandom);
        self.#channel = new RecordChannel(SUITE, keys, true, 1, 1, party.cids);
      },
      receive: () => [],
      send: () => false,
      shutdown() {
        self.#output = record(ContentType.alert, 2, Buffer.of(1, 0));
      },
    } as unknown as ServerHandshake["ssl"];
  }

  channel(): RecordChannel | null {
    return this.#channel;
  }

  withoutCid(): Buffer | null {
    return null;
  }

  takeDatagrams(now: number): Buffer[] {
    const output = this.#output;
    this.#output = null;
    if (!output) return [];
    this.#repeatAt = now + this.#wait;
    return [output];
  }

  checkTimer(now: number): Buffer[] {
    if (now < this.#repeatAt || !this.#answer) return [];
    this.#wait *= 2;
    this.#repeatAt = now + this.#wait;
    return [this.#answer];
  }

  free(): void {}
}

let ids = 0;

/** What a client keeps of a session when its own process or power goes. */
export interface SavedSession {
  channel: RecordChannel;
  port: number;
}

/** The client's end: the handshake, then records; it does not know when the server has forgotten it. */
export class DtlsClient implements Peer {
  readonly id = `dtls-client-${++ids}`;
  readonly transport = "dtls";
  readonly identity = null;
  readonly restored = false;
  readonly remote: Address;
  readonly messageIdSeed: number;
  closed = false;
  onmessage: ((message: Uint8Array) => void) | null = null;
  onclose: ((reason: string) => void) | null = null;
  readonly #socket: ReturnType<Network["socket"]>;
  #channel: RecordChannel | null = null;
  #settle: { done(time: number): void; fail(error: Error): void } | null = null;
  #random = Buffer.alloc(32);
  #cookie = Buffer.alloc(0);
  #sequence = 0;

  constructor(
    readonly network: Network,
    readonly place: Place,
    readonly life: Life,
    readonly port: number,
    private readonly chain: readonly Uint8Array[],
    private readonly cid: CidForm | null,
    /** Sequence numbers of the server's records with a checksum of each, to find one that is used twice. */
    private readonly onrecord: (client: DtlsClient, view: RecordView, bytes: Buffer) => void = () => {},
  ) {
    this.remote = { address: SERVER, port };
    this.messageIdSeed = network.world.random.int(0, 0xffff);
    this.#socket = network.socket(place, (bytes) => life.alive && this.#receive(bytes));
    life.onend(() => this.#socket.close());
  }

  /** Resolves to the time that the server told, seconds since 1970. */
  connect(): Promise<number> {
    return new Promise((done, fail) => {
      this.#settle = { done, fail };
      this.network.world.random.fill(this.#random);
      this.#hello();
      const again = (wait: number) => {
        this.life.clock.after(wait, () => {
          if (!this.#settle) return;
          if (wait > 32_000) {
            this.#settle = null;
            this.#end("the server did not answer");
            fail(new Error("the server did not answer"));
            return;
          }
          this.#hello();
          again(wait * 2);
        });
      };
      again(4000);
    });
  }

  /** Goes on with a session of an earlier life. */
  resume({ channel }: SavedSession): void {
    this.#channel = channel;
  }

  /** Whether a record is the server's, whatever was read before. */
  opens(bytes: Buffer): boolean {
    const [view] = parseRecords(bytes, 0) ?? [];
    const channel = this.#channel;
    return Boolean(view && channel && openRecord(channel.suite, channel.keys, true, bytes, view));
  }

  save(): SavedSession | null {
    return this.#channel && { channel: this.#channel, port: this.port };
  }

  #hello(): void {
    const hello: Hello = {
      chain: this.chain.map((one) => Buffer.from(one).toString("base64")),
      cid: this.cid,
    };
    const body = Buffer.concat([
      Buffer.of(0xfe, 0xfd),
      this.#random,
      Buffer.of(0, this.#cookie.length),
      this.#cookie,
      pack(hello),
    ]);
    this.#socket.send(
      record(ContentType.handshake, this.#sequence++, handshakeMessage(CLIENT_HELLO, body)),
      this.port,
    );
  }

  #receive(datagram: Buffer): void {
    for (const view of parseRecords(datagram, 0) ?? []) {
      if (this.closed) return;
      if (view.epoch === 0) this.#inTheClear(datagram, view);
      else {
        this.onrecord(this, view, datagram.subarray(view.start, view.end));
        const opened = this.#channel?.open(datagram, view);
        if (opened?.type === ContentType.applicationData) this.onmessage?.(opened.plaintext);
        else if (opened?.type === ContentType.alert) {
          const [level, alert = 0] = opened.plaintext;
          if (alert === 0) this.#end("the server closed the session");
          else if (level === 2) this.#end(`the server ended the session: ${alertName(alert)}`);
        }
      }
    }
  }

  #inTheClear(datagram: Buffer, view: RecordView): void {
    const body = datagram.subarray(view.fragment, view.end);
    if (view.type === ContentType.alert && this.#settle) {
      const { fail } = this.#settle;
      this.#settle = null;
      const reason = `the server refused the handshake: ${alertName(body[1] ?? 0)}`;
      this.#end(reason);
      fail(new Error(reason));
      return;
    }
    if (view.type !== ContentType.handshake || !this.#settle) return;
    if (body[0] === 3) {
      const length = body[HANDSHAKE_HEADER + 2] ?? 0;
      const cookie = body.subarray(HANDSHAKE_HEADER + 3, HANDSHAKE_HEADER + 3 + length);
      if (this.#cookie.equals(cookie)) return;
      this.#cookie = Buffer.from(cookie);
      this.#hello();
    } else if (body[0] === FINISHED) {
      const finished = unpack<Finished>(body.subarray(HANDSHAKE_HEADER));
      if (!finished) return;
      const keys = keysOf(this.#random, Buffer.from(finished.random, "base64"));
      const peerCid = Buffer.from(finished.cid, "base64").toString("latin1");
      const cids = { peerCid, ourCid: "", form: this.cid ?? "rfc9146" } as const;
      this.#channel = new RecordChannel(SUITE, keys, false, 1, 1, cids);
      const { done } = this.#settle;
      this.#settle = null;
      done(finished.time);
    }
  }

  send(message: Uint8Array): void {
    if (this.#channel && !this.closed)
      this.#socket.send(this.#channel.seal(ContentType.applicationData, message), this.port);
  }

  close(): void {
    if (this.closed) return;
    if (this.#channel) this.#socket.send(this.#channel.seal(ContentType.alert, Buffer.of(1, 0)), this.port);
    this.#end("closed");
  }

  /** Ends without a word, as a client that lost its power. */
  vanish(): void {
    this.closed = true;
    this.#socket.close();
  }

  #end(reason: string): void {
    if (this.closed) return;
    this.closed = true;
    this.#socket.close();
    this.onclose?.(reason);
  }
}
