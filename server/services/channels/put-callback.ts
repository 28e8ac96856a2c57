import { validateHeaderName, validateHeaderValue } from "node:http";
import { z } from "zod";
import type { Config } from "@/server/config";
import { type Context, ownerOf } from "../context";
import { ServiceError } from "../errors";
import { newId } from "../ids";
import { validate } from "../validate";
import { otherKind, putChannel } from "./put";
import { CallbackSender } from "./send";
import { newSigningKey } from "./signature";
import { CallbackTargets } from "./targets";
import { serialization } from "./types";

/** What the address and the headers may have together. */
const MAX_CHARACTERS = 400;
/** Shorter than a delivery may take: somebody waits for it. */
const CHECK_TIMEOUT_MS = 10_000;
/** What the sealed columns are sealed for. */
export const HEADERS_PURPOSE = "callback-headers";
export const SECRET_PURPOSE = "callback-secret";

/** Headers that are the connection's, or ours. */
const RESERVED =
  /^(connection|content-length|expect|host|keep-alive|proxy-.*|te|trailer|transfer-encoding|upgrade|webhook-.*)$/i;

const url = z.string().superRefine((text, ctx) => {
  const fail = (message: string) => ctx.addIssue({ code: "custom", message });
  if (!URL.canParse(text)) return fail("must be an absolute URL");
  const parsed = new URL(text);
  if (parsed.protocol !== "http:" && parsed.protocol !== "https:")
    return fail("must begin with http:// or https://");
  if (parsed.username !== "" || parsed.password !== "") fail("must hold no password: send it in a header");
});

const headers = z.record(z.string(), z.string()).superRefine((given, ctx) => {
  for (const [name, value] of Object.entries(given)) {
    const fail = (message: string) => ctx.addIssue({ code: "custom", message, path: [name] });
    if (RESERVED.test(name)) fail("may not be set");
    else if (!isHeader(name, value)) fail("is no HTTP header");
  }
});

export const putCallbackInput = z
  .object({ url, headers: headers.default({}), serialization: serialization.prefault({}) })
  .refine(
    ({ url, headers }) => [url, ...Object.entries(headers).flat()].join("").length <= MAX_CHARACTERS,
    `The URL and the headers may have ${MAX_CHARACTERS} characters together.`,
  );

/** Sets the callback of the actor, once its address has answered to an empty message. */
export async function putCallback(
  ctx: Context,
  input: z.input<typeof putCallbackInput>,
  { callbackAllow }: Pick<Config, "callbackAllow">,
): Promise<void> {
  const { ownerId } = ownerOf(ctx.actor);
  const given = validate(putCallbackInput, input);
  const before = await ctx.db.notificationChannel.findUnique({
    where: { ownerId },
    select: { kind: true, secret: true },
  });
  if (before && before.kind !== "CALLBACK") throw otherKind(before.kind);
  // The same key stays, so that the application does not have to learn another.
  const signingKey = before?.secret ? ctx.vault.open(before.secret, SECRET_PURPOSE) : newSigningKey();
  const sender = new CallbackSender(new CallbackTargets(callbackAllow), ctx.clock);
  const result = await sender.put({ ...given, signingKey }, `msg_${newId()}`, "{}", CHECK_TIMEOUT_MS);
  sender.close();
  if (result.error)
    throw new ServiceError("bad_request", `The callback did not take a PUT of {}. ${result.error}`);
  await putChannel(ctx, {
    kind: "CALLBACK",
    url: given.url,
    headers: seal(ctx, Buffer.from(JSON.stringify(given.headers)), HEADERS_PURPOSE),
    secret: seal(ctx, signingKey, SECRET_PURPOSE),
    serialization: given.serialization,
  });
}

const seal = (ctx: Context, plain: Uint8Array, purpose: string): Uint8Array<ArrayBuffer> =>
  new Uint8Array(ctx.vault.seal(plain, purpose));

function isHeader(name: string, value: string): boolean {
  try {
    validateHeaderName(name);
    validateHeaderValue(name, value);
    return true;
  } catch {
    return false;
  }
}
