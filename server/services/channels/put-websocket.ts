import { z } from "zod";
import type { Context } from "../context";
import { validate } from "../validate";
import { putChannel } from "./put";
import { serialization } from "./types";

export const putWebsocketInput = z.object({ serialization: serialization.prefault({}) });

/** Sets the WebSocket channel of the actor; returns whether it was made. */
export async function putWebsocket(ctx: Context, input: z.input<typeof putWebsocketInput>): Promise<boolean> {
  return putChannel(ctx, { kind: "WEB_SOCKET", ...validate(putWebsocketInput, input) });
}
