import { createHmac, randomBytes } from "node:crypto";

const PREFIX = "whsec_";

/** A new key that deliveries to a callback are signed with. */
export const newSigningKey = (): Uint8Array => randomBytes(32);

/** The key as applications are shown it, in the form of Standard Webhooks. */
export const showSigningKey = (key: Uint8Array): string => PREFIX + Buffer.from(key).toString("base64");

/** The headers that prove where a delivery comes from, as Standard Webhooks has them. */
export function signatureHeaders(
  key: Uint8Array,
  id: string,
  at: number,
  body: string,
): Record<"webhook-id" | "webhook-timestamp" | "webhook-signature", string> {
  const timestamp = String(Math.floor(at / 1000));
  const signature = createHmac("sha256", key).update(`${id}.${timestamp}.${body}`).digest("base64");
  return { "webhook-id": id, "webhook-timestamp": timestamp, "webhook-signature": `v1,${signature}` };
}
