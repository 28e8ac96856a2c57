import type { Clock } from "@/server/clock";
import { CoapEndpoint } from "@/server/coap";
import { connectDtls, connectTcp, connectTls, connectUdp, type Peer } from "@/server/transport";
import { type Connect, ConnectError, isRefusal } from "./link";

/** Connections over the real transports, one socket and one CoAP endpoint each. */
export function networkConnect(clock: Clock): Connect {
  return async (uri, credentials, events) => {
    const dial =
      uri.transport === "tcp"
        ? uri.secure
          ? connectTls
          : connectTcp
        : uri.secure
          ? connectDtls
          : connectUdp;
    let peer: Peer;
    try {
      peer = await dial({
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
