import type { IncomingMessage } from "node:http";
import { failure } from "./errors";

/** More than any body of the API needs. */
export const MAX_BODY_BYTES = 1 << 20;

/** The whole body of a request, or a refusal as soon as it is too long. */
export async function readBody(req: IncomingMessage): Promise<Buffer> {
  if (Number(req.headers["content-length"] ?? 0) > MAX_BODY_BYTES) throw tooLong();
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of req as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > MAX_BODY_BYTES) throw tooLong();
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

const tooLong = () =>
  failure(413, "payload_too_large", `The body has more than ${MAX_BODY_BYTES} bytes.`, {
    // What is left of it is not read.
    Connection: "close",
  });

/** A JSON body; clients send the content type with nothing behind it. */
export function parseJson(body: Uint8Array): unknown {
  const text = Buffer.from(body).toString("utf8").trim();
  if (text === "") return {};
  try {
    return JSON.parse(text);
  } catch {
    throw failure(400, "bad_request", "The body is no JSON.");
  }
}
