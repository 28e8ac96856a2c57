import type { Clock } from "@/server/clock";
import { CoapEndpoint } from "@/server/coap";
import { connectDtls, connectTcp, connectTls, connectUdp, type Peer } from "@/server/transport";
import { type Connect, ConnectError, type Credentials, isRefusal } from "./link";
import type { ServerUri } from "./uri";

/** Opens one connection; rejects with an error that says why in words. */
export type Dial = (uri: ServerUri, credentials: Credentials | null) => Promise<Peer>;

const dialNetwork =
  (clock: Clock): Dial =>
  (uri, credentials) => {
    const dial =
      uri.transport === "tcp"
        ? uri.secure
          ? connectTls
          : connectTcp
        : uri.secure
          ? connectDtls
          : connectUdp;
    return dial({
      host: uri.host,
      port: uri.port,
      ca: credentials ? [credentials.serverCa] : [],
      ...(credentials && {
        credentials: { chain: [credentials.certificate], privateKey: credentials.privateKey },
      }),
      // A device behind a changing address keeps its session.
      ...(uri.secure && uri.transport === "udp" && { cid: true }),
      clock,
    });
  };

/** Connections over the real transports, one socket and one CoAP endpoint each. */
export function networkConnect(clock: Clock, dial: Dial = dialNetwork(clock)): Connect {
  return async (uri, credentials, events) => {
    let peer: Peer;
    try {
      peer = await dial(uri, credentials);
    } catch (error) {
      const message = (error as Error).message;
      throw new ConnectError(isRefusal(message) ? "refused" : "unreachable", message);
    }
    const coap = new CoapEndpoint({ clock, handler: events.onrequest });
    coap.attach(peer, { initiator: true });
    let closed = false;
    const closing = peer.onclose;
    peer.onclose = (reason) => {
      closing?.(reason);
      if (!closed) events.onclose(reason);
      closed = true;
    };
    return {
      request: (request) => coap.request(peer, request),
      close() {
        closed = true;
        coap.forget(peer);
        peer.close();
      },
    };
  };
}
