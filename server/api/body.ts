import type { IncomingMessage } from "node:http";
import { failure } from "./errors";
import type { Operation } from "./operation";

/** More than any body of the API needs that does not say otherwise. */
export const MAX_BODY_BYTES = 1 << 20;

const NOTHING = Buffer.alloc(0);

/** The whole body of a request, or a refusal as soon as it is too long. */
export async function readBody(req: IncomingMessage, max = MAX_BODY_BYTES): Promise<Buffer> {
  const { "content-length": announced, "transfer-encoding": encoding } = req.headers;
  if (!encoding && (announced === undefined || announced === "0")) return NOTHING;
  if (Number(announced ?? 0) > max) throw tooLong(max);
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let length = 0;
    const take = (chunk: Buffer) => {
      length += chunk.length;
      chunks.push(chunk);
      if (length <= max) return;
      // The connection stays, for the answer.
      req.off("data", take).pause();
      reject(tooLong(max));
    };
    req.on("data", take);
    req.once("end", () => resolve(Buffer.concat(chunks, length)));
    req.once("error", reject);
    req.once("close", () => {
      if (!req.complete) reject(new ClientGone("The client has closed the connection."));
    });
  });
}

/** The client went away; nobody gets an answer. */
export class ClientGone extends Error {}

const tooLong = (max: number) =>
  failure(413, "payload_too_large", `The body has more than ${max} bytes.`, {
    // What is left of it is not read.
    Connection: "close",
  });

/** A JSON body; clients send the content type with nothing behind it. */
export function parseJson(body: Buffer, complaint = "The body is no JSON."): unknown {
  const text = body.toString("utf8").trim();
  if (text === "") return {};
  try {
    return JSON.parse(text);
  } catch {
    throw failure(400, "bad_request", complaint);
  }
}

/** Refuses bytes of a type that the operation does not take. A body without a type is the operation's to judge. */
export function checkRaw(
  { contentTypes, required }: NonNullable<Operation["rawBody"]>,
  body: Buffer,
  contentType: string | null,
): void {
  if (body.length === 0) {
    if (required) throw failure(400, "bad_request", "The body is empty.");
    return;
  }
  const type = contentType?.split(";")[0]?.trim().toLowerCase();
  if (type && !contentTypes.includes(type))
    throw failure(415, "unsupported_media_type", `The body may be ${contentTypes.join(", ")}.`);
}
