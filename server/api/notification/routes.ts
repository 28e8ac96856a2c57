import { getCallback, getChannel } from "@/server/services/channels/get";
import { putCallback } from "@/server/services/channels/put-callback";
import { putWebsocket } from "@/server/services/channels/put-websocket";
import { removeChannel } from "@/server/services/channels/remove";
import { showSigningKey } from "@/server/services/channels/signature";
import type { ChannelKind } from "@/server/services/channels/types";
import { ownerOf } from "@/server/services/context";
import { notFound } from "@/server/services/errors";
import { failure } from "../errors";
import { type Call, operation, Reply } from "../operation";
import { id, z } from "../zod";
import { upgradeRequired } from "./delivery";
import { openEvents, parseTypes } from "./events";
import { keyHash } from "./key-watch";
import {
  callbackBody,
  callbackResponse,
  channelResponse,
  notificationMessage,
  serializeSerialization,
  toSerialization,
  websocketBody,
  websocketResponse,
} from "./schemas";

const tag = "Notification channels";
type AnyCall = Call<unknown, unknown, unknown>;

/** Deletes the channel and sees to it that nobody waits on it any more. */
async function remove({ ctx, delivery }: AnyCall, kind: ChannelKind): Promise<boolean> {
  const removed = await removeChannel(ctx, kind);
  if (removed) await delivery.reload(ownerOf(ctx.actor));
  return removed;
}

async function websocket({ ctx, delivery }: AnyCall): Promise<z.input<typeof websocketResponse>> {
  const { ownerId, serialization } = await getChannel(ctx, "WEB_SOCKET");
  return {
    status: delivery.isConnected(ownerId) ? "connected" : "disconnected",
    queue_size: await delivery.queueSize(ctx),
    serialization: serializeSerialization(serialization),
  };
}

export const notification = [
  operation({
    method: "get",
    path: "/v2/notification/channel",
    tag,
    scope: "read",
    summary: "Which kind of channel there is",
    status: 200,
    response: channelResponse,
    replies: { 404: { description: "There is no channel.", contentType: "text/plain" } },
    plainErrors: true,
    handle: async ({ ctx }) => ({ delivery_mechanism: (await getChannel(ctx)).kind }),
  }),
  operation({
    method: "get",
    path: "/v2/notification/callback",
    tag,
    scope: "connect",
    summary: "Get the callback",
    status: 200,
    response: callbackResponse,
    replies: { 404: { description: "There is no callback.", contentType: "text/plain" } },
    plainErrors: true,
    handle: async ({ ctx }) => {
      const { url, headers, serialization, signingKey } = await getCallback(ctx);
      return {
        url,
        headers: { ...headers },
        serialization: serializeSerialization(serialization),
        signing_secret: showSigningKey(signingKey),
      };
    },
  }),
  operation({
    method: "put",
    path: "/v2/notification/callback",
    tag,
    scope: "connect",
    summary: "Set the callback; its address is sent `{}` and has to answer 200 or 204",
    body: callbackBody,
    rawBody: { contentTypes: ["application/json"] },
    status: 204,
    plainErrors: true,
    handle: async ({ ctx, body, config, delivery }) => {
      const { url, headers, serialization } = body;
      await putCallback(
        ctx,
        { url, headers: headers ?? {}, serialization: toSerialization(serialization) },
        config,
      );
      await delivery.reload(ownerOf(ctx.actor));
    },
  }),
  operation({
    method: "delete",
    path: "/v2/notification/callback",
    tag,
    scope: "connect",
    summary: "Delete the callback and what waits for it",
    status: 204,
    replies: { 404: { description: "There is no callback.", contentType: "text/plain" } },
    plainErrors: true,
    handle: async (call) => {
      if (!(await remove(call, "CALLBACK"))) throw notFound("Callback");
    },
  }),
  operation({
    method: "get",
    path: "/v2/notification/pull",
    tag,
    scope: "connect",
    summary: "Take what is there, or wait up to 30 s for it; the first poll makes the channel",
    status: 200,
    response: notificationMessage,
    replies: {
      204: { description: "Nothing came; poll again." },
      409: { description: "Another poll is open.", contentType: "text/plain" },
      410: { description: "The channel was deleted while the poll was open.", contentType: "text/plain" },
    },
    plainErrors: true,
    handle: ({ ctx, raw, signal, delivered, delivery }) =>
      delivery.poll({ ctx, keyHash: keyHash(raw.header("authorization")), signal, delivered }),
  }),
  operation({
    method: "delete",
    path: "/v2/notification/pull",
    tag,
    scope: "connect",
    summary: "Delete the channel for long polling and what waits for it",
    status: 200,
    replies: { 200: { description: "REMOVED or ALREADY_DELETED.", contentType: "text/plain" } },
    plainErrors: true,
    handle: async (call) =>
      new Reply(200, (await remove(call, "LONG_POLLING")) ? "REMOVED" : "ALREADY_DELETED"),
  }),
  operation({
    method: "get",
    path: "/v2/notification/websocket",
    tag,
    scope: "read",
    summary: "Get the WebSocket channel",
    status: 200,
    response: websocketResponse,
    replies: { 404: { description: "There is no WebSocket channel.", contentType: "text/plain" } },
    plainErrors: true,
    handle: websocket,
  }),
  operation({
    method: "put",
    path: "/v2/notification/websocket",
    tag,
    scope: "connect",
    summary: "Set the WebSocket channel",
    body: websocketBody,
    status: 200,
    response: websocketResponse,
    replies: { 201: { description: "Made.", schema: websocketResponse } },
    plainErrors: true,
    handle: async (call) => {
      const { ctx, body, delivery } = call;
      const created = await putWebsocket(ctx, { serialization: toSerialization(body.serialization) });
      await delivery.reload(ownerOf(ctx.actor));
      return new Reply(created ? 201 : 200, await websocket(call));
    },
  }),
  operation({
    method: "delete",
    path: "/v2/notification/websocket",
    tag,
    scope: "connect",
    summary: "Delete the WebSocket channel and what waits for it",
    status: 204,
    replies: { 404: { description: "There is no WebSocket channel.", contentType: "text/plain" } },
    plainErrors: true,
    handle: async (call) => {
      if (!(await remove(call, "WEB_SOCKET"))) throw notFound("WebSocket channel");
    },
  }),
  operation({
    method: "get",
    path: "/v2/notification/websocket-connect",
    tag,
    scope: "connect",
    summary:
      "Open the WebSocket; the key may be in the header `Sec-WebSocket-Protocol: wss, pelion_<key>` instead",
    status: 101,
    replies: {
      426: { description: "This is no WebSocket handshake.", contentType: "text/plain" },
      429: { description: "Another handshake is in progress, or too many requests." },
    },
    plainErrors: true,
    // Handshakes go another way (Api.upgrade).
    handle: async () => {
      throw upgradeRequired();
    },
  }),
  operation({
    method: "get",
    path: "/v3/events",
    tag: "Events",
    scope: "read",
    summary:
      "A stream (server-sent events) of everything that the account may see; goes on after `Last-Event-ID`",
    query: z.object({
      device_id: id.optional(),
      types: z.string().max(4000).optional().openapi({
        description:
          "Comma-separated: `device-event`, `device-change`, `values`, `observations`, a category such as `registration`, or a type of event.",
      }),
    }),
    status: 200,
    replies: { 200: { description: "Events as they happen.", contentType: "text/event-stream" } },
    handle: async ({ ctx, query, raw, delivery, streams }) => {
      const lastEventId = raw.header("last-event-id") ?? undefined;
      if (lastEventId !== undefined && !id.safeParse(lastEventId).success)
        throw failure(400, "validation_error", "Last-Event-ID: is no ID of an event.");
      return openEvents(
        { ctx, keyHash: keyHash(raw.header("authorization")), holder: ctx.actor.id },
        { deviceId: query.device_id, types: parseTypes(query.types), lastEventId },
        { streams, keys: delivery.keys },
      );
    },
  }),
];
