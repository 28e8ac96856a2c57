import { type CidForm, keyBlockBytes, RecordChannel, suiteOf } from "./record-layer";
import type { PeerIdentity } from "./types";

/** What a DTLS session needs to go on after a restart, apart from its sequence numbers. */
export interface SessionState {
  channel: RecordChannel;
  identity: PeerIdentity;
  /** Where its CoAP message ids started, less the sequence number at that time. */
  messageIdBase: number;
}

/** First byte of a state; sessions of the draft's form came later. */
const VERSIONS: Readonly<Record<CidForm, number>> = { rfc9146: 1, draft: 2 };
const FIXED_BYTES = 7;

/** Packs a session for the store; the result holds keys. */
export function serializeState({ channel, identity, messageIdBase }: SessionState): Buffer {
  const head = Buffer.alloc(FIXED_BYTES);
  head[0] = VERSIONS[channel.cidForm];
  head.writeUInt16BE(channel.suite.id, 1);
  head.writeUInt16BE(channel.epoch, 3);
  head.writeUInt16BE(messageIdBase, 5);
  return Buffer.concat([
    head,
    Buffer.from(channel.keys, "latin1"),
    prefixed(channel.peerCid),
    prefixed(channel.ourCid),
    Buffer.from(JSON.stringify(identity)),
  ]);
}

/** Unpacks a stored session, the server's side; null when it is not one of ours. Writing starts at `next`. */
export function restoreState(state: Uint8Array, next: number): SessionState | null {
  const bytes = Buffer.from(state.buffer, state.byteOffset, state.byteLength);
  if (bytes.length < FIXED_BYTES) return null;
  const form = (["rfc9146", "draft"] as const).find((one) => VERSIONS[one] === bytes[0]);
  if (!form) return null;
  const suite = suiteOf(bytes.readUInt16BE(1));
  if (!suite) return null;
  const cidsAt = FIXED_BYTES + keyBlockBytes(suite);
  const peerCid = readPrefixed(bytes, cidsAt);
  if (peerCid === null) return null;
  const ourCid = readPrefixed(bytes, cidsAt + 1 + peerCid.length);
  if (ourCid === null) return null;
  const identity = parseIdentity(bytes.toString("utf8", cidsAt + 2 + peerCid.length + ourCid.length));
  if (!identity) return null;
  const keys = bytes.toString("latin1", FIXED_BYTES, cidsAt);
  const cids = { peerCid, ourCid, form };
  const channel = new RecordChannel(suite, keys, true, bytes.readUInt16BE(3), next, cids);
  return { channel, identity, messageIdBase: bytes.readUInt16BE(5) };
}

function prefixed(text: string): Buffer {
  return Buffer.concat([Buffer.of(text.length), Buffer.from(text, "latin1")]);
}

function readPrefixed(bytes: Buffer, at: number): string | null {
  const length = bytes[at];
  if (length === undefined || at + 1 + length > bytes.length) return null;
  return bytes.toString("latin1", at + 1, at + 1 + length);
}

function parseIdentity(json: string): PeerIdentity | null {
  try {
    const value: unknown = JSON.parse(json);
    if (value === null || typeof value !== "object" || Array.isArray(value)) return null;
    if (!Object.values(value).every((entry) => typeof entry === "string")) return null;
    return value as PeerIdentity;
  } catch {
    return null;
  }
}
