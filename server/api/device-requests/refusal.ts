import type { RequestRefusal } from "@/server/services/requests/send";
import { Reply } from "../operation";
import { z } from "../zod";

/** A device as calls of Connect name it; what is no ID is a device that is not there. */
export const deviceId = z
  .string()
  .openapi({ pattern: "^[0-9a-f]{32}$", example: "0169ab3c5e4f00000a1b2c3d4e5f6071" });

/** Why a request was not taken, as a word of plain text with the status that this kind of call has for it. */
export const refusal = (refused: RequestRefusal, statuses: Readonly<Record<RequestRefusal, number>>): Reply =>
  new Reply(statuses[refused], refused, { "Content-Type": "text/plain; charset=utf-8" });

/** What calls that need the gateway may answer as well. */
export const GATEWAY_DOWN = {
  503: { description: "The gateway is not running; come back in a moment.", contentType: "text/plain" },
} as const;
