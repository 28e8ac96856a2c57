import type { IncomingMessage, Server } from "node:http";
import type { Socket } from "node:net";
import { TLSSocket } from "node:tls";

const HOP_BY_HOP: ReadonlySet<string> = new Set(["connection", "upgrade", "http2-settings"]);

/** Whether a request is a WebSocket handshake. */
export const isWebSocket = ({ headers }: IncomingMessage): boolean =>
  headers.upgrade?.toLowerCase() === "websocket";

/**
 * Answers a request that asks to upgrade to what is not spoken here as if it had not asked [RFC9110 §7.8]: HTTP clients of
 * Java offer HTTP/2 with every first request. Node has given up parsing the connection, so it is handed in anew.
 */
export function answerUnupgraded(server: Server, req: IncomingMessage, socket: Socket, head: Buffer): void {
  const { method, url, httpVersion, rawHeaders } = req;
  const lines = [`${method} ${url} HTTP/${httpVersion}`];
  for (let at = 0; at < rawHeaders.length; at += 2)
    if (!HOP_BY_HOP.has((rawHeaders[at] ?? "").toLowerCase()))
      lines.push(`${rawHeaders[at]}: ${rawHeaders[at + 1]}`);
  if (head.length > 0) socket.unshift(head);
  socket.unshift(Buffer.from(`${lines.join("\r\n")}\r\n\r\n`, "latin1"));
  server.emit(socket instanceof TLSSocket ? "secureConnection" : "connection", socket);
}
