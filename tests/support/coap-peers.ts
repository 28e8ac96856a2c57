import type { Clock } from "@/server/clock";
import { decodeMessage, Malformed, type Message } from "@/server/coap";
import type { Peer, TransportKind } from "@/server/transport/types";

/** What happens to one message on its way: how often it arrives, and how late each time. Lost when empty. */
export type Fate = (message: Uint8Array, index: number) => readonly number[];

let ids = 0;

/** One end of a link in memory. */
export class FakePeer implements Peer {
  readonly id = `peer-${++ids}`;
  readonly remote = { address: "192.0.2.1", port: 5683 };
  readonly identity = null;
  readonly restored = false;
  closed = false;
  messageIdSeed = 1000 * ids;
  onmessage: ((message: Uint8Array) => void) | null = null;
  onclose: ((reason: string) => void) | null = null;
  other: FakePeer | null = null;
  /** Everything sent, in order. */
  readonly sent: Uint8Array[] = [];
  fate: Fate = () => [0];

  constructor(
    readonly transport: TransportKind,
    private readonly clock: Clock,
  ) {}

  send(message: Uint8Array): void {
    if (this.closed) return;
    const bytes = Buffer.from(message);
    this.sent.push(bytes);
    for (const ms of this.fate(bytes, this.sent.length - 1)) {
      this.clock.after(ms, () => {
        if (this.other && !this.other.closed) this.other.onmessage?.(bytes);
      });
    }
  }

  close(): void {
    this.end("closed here");
    this.other?.end("closed by the peer");
  }

  end(reason: string): void {
    if (this.closed) return;
    this.closed = true;
    this.onclose?.(reason);
  }

  /** The datagrams sent, read. */
  get messages(): Message[] {
    return this.sent.map((bytes) => {
      const message = decodeMessage(bytes);
      if (message instanceof Malformed) throw new Error(message.reason);
      return message;
    });
  }
}

/** Two ends of one link: what one sends the other receives. */
export function peerPair(clock: Clock, transport: TransportKind = "udp"): [FakePeer, FakePeer] {
  const a = new FakePeer(transport, clock);
  const b = new FakePeer(transport, clock);
  a.other = b;
  b.other = a;
  return [a, b];
}
