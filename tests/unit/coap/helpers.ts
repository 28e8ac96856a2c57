import {
  type AttachOptions,
  CoapEndpoint,
  type EndpointOptions,
  encodeMessage,
  type Message,
  type RequestHandler,
  Type,
} from "@/server/coap";
import type { TransportKind } from "@/server/transport/types";
import { type FakePeer, peerPair } from "@/tests/support/coap-peers";
import { FakeClock } from "@/tests/support/fake-clock";

export interface Link {
  clock: FakeClock;
  client: CoapEndpoint;
  server: CoapEndpoint;
  /** The client's end, through which it asks. */
  a: FakePeer;
  /** The server's end. */
  b: FakePeer;
  errors: string[];
}

type Extra = Partial<Omit<EndpointOptions, "clock" | "handler">>;

/** Two endpoints on one link. */
export function link(
  handler: RequestHandler,
  options: {
    transport?: TransportKind;
    client?: Extra & { handler?: RequestHandler };
    server?: Extra;
    attach?: AttachOptions;
  } = {},
): Link {
  const clock = new FakeClock();
  const [a, b] = peerPair(clock, options.transport);
  const errors: string[] = [];
  const common = {
    clock,
    random: () => 0,
    onerror: (_: unknown, message: string) => void errors.push(message),
  };
  const client = new CoapEndpoint({ ...common, handler: () => ({ code: "4.04" }), ...options.client });
  const server = new CoapEndpoint({ ...common, handler, ...options.server });
  server.attach(b);
  client.attach(a, { initiator: true, ...options.attach });
  return { clock, client, server, a, b, errors };
}

/** A hand-made message as it comes from the wire. */
export function wire(message: Partial<Message>): Uint8Array {
  return encodeMessage({
    type: Type.CON,
    code: 1,
    messageId: 1,
    token: Buffer.from("tok"),
    options: [],
    payload: Buffer.alloc(0),
    ...message,
  });
}

/** A promise together with its resolution. */
export function deferred<T>(): { promise: Promise<T>; resolve: (value: T) => void } {
  let resolve!: (value: T) => void;
  const promise = new Promise<T>((done) => (resolve = done));
  return { promise, resolve };
}
