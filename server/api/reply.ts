import { type IncomingMessage, type ServerResponse, STATUS_CODES } from "node:http";
import { type Duplex, Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { Reply } from "./operation";

const JSON_TYPE = { "Content-Type": "application/json" };

/** Of every answer: nothing of it is kept, or is a page, whatever a browser makes of it. */
const HEAD = {
  "Cache-Control": "no-store",
  "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
  "X-Content-Type-Options": "nosniff",
};

export const json = (status: number, body: unknown, headers?: Readonly<Record<string, string>>) =>
  new Reply(status, JSON.stringify(body), headers ? { ...JSON_TYPE, ...headers } : JSON_TYPE);

/** Writes an answer; resolves when it is written, or its stream has ended. */
export async function send(
  req: IncomingMessage,
  res: ServerResponse,
  { status, body, headers }: Reply,
  requestId: string,
): Promise<void> {
  const head: Record<string, string | number> = { ...HEAD, "X-Request-ID": requestId };
  const source = body instanceof Object && Symbol.asyncIterator in body ? body : null;
  const bytes = source ? null : bytesOf(body, head);
  Object.assign(head, headers);
  if (bytes !== null && status !== 204) head["Content-Length"] = Buffer.byteLength(bytes);
  res.writeHead(status, head);
  if (!source) {
    res.end(req.method === "HEAD" || status === 204 ? undefined : bytes);
    return;
  }
  const stream =
    source instanceof Readable
      ? source
      : Readable.from(source as AsyncIterable<unknown>, { objectMode: false });
  if (req.method === "HEAD") {
    stream.destroy();
    res.end();
    return;
  }
  // Whoever waits for events learns at once that there will be some.
  res.flushHeaders();
  await pipeline(stream, res);
}

/** Answers a request to upgrade in HTTP, which is the end of its connection. */
export function refuseUpgrade(socket: Duplex, { status, body, headers }: Reply, requestId: string): void {
  const text = String(body);
  const lines = Object.entries({
    ...headers,
    "X-Request-ID": requestId,
    "Content-Length": Buffer.byteLength(text),
    Connection: "close",
  }).map(([name, value]) => `${name}: ${value}\r\n`);
  socket.end(`HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ""}\r\n${lines.join("")}\r\n${text}`, () =>
    socket.destroy(),
  );
}

/** What goes over the wire, and its type where the answer does not say it. */
function bytesOf(body: unknown, head: Record<string, string | number>): string | Uint8Array {
  if (body === undefined) return "";
  if (typeof body === "string") {
    head["Content-Type"] = "text/plain; charset=utf-8";
    return body;
  }
  if (body instanceof Uint8Array) {
    head["Content-Type"] = "application/octet-stream";
    return body;
  }
  head["Content-Type"] = "application/json";
  return JSON.stringify(body);
}
