"use client";
import { type InfiniteData, type QueryClient, useQueryClient } from "@tanstack/react-query";
import { usePathname } from "next/navigation";
import { createContext, type ReactNode, useContext, useEffect, useState } from "react";
import type { BusEvent } from "@/server/bus/messages";
import type { QueryInput, QueryOutput } from "@/server/portal/queries";
import { hear, hearValues, withHeard } from "./heard";

type Status = "connecting" | "live" | "lost";
const LiveContext = createContext<Status>("connecting");

/** Whether what the page shows is kept up to date. */
export const useLive = () => useContext(LiveContext);

/** A page in the background gives its connection back after this long: a browser has six per host. */
const HIDDEN_MS = 10_000;
/**
 * The gateway tells of an event at once and writes it within a second: a page that is rendered in between lacks what
 * was told before it listened. So it is read again when everything is written.
 */
const SETTLE_MS = 1_500;
/** Many devices change at once; lists are read again at most this often. */
const REFRESH_MS = 1_000;

/** One stream of everything that happens in the account, kept in the caches that pages read. */
export function LiveProvider({ children }: { children: ReactNode }) {
  const client = useQueryClient();
  const pathname = usePathname();
  const [status, setStatus] = useState<Status>("connecting");

  useEffect(() => {
    let source: EventSource | null = null;
    let hidden: ReturnType<typeof setTimeout> | undefined;
    let opened = false;
    const refresh = throttle(client);

    const open = () => {
      clearTimeout(hidden);
      if (source && source.readyState !== EventSource.CLOSED) return;
      source = new EventSource("/live");
      source.onopen = () => {
        setStatus("live");
        // What happened while nobody listened is read again; the first time there is nothing to catch up with.
        if (opened) void client.invalidateQueries();
        opened = true;
      };
      source.onerror = () => setStatus("lost");
      source.onmessage = (message) => apply(client, refresh, JSON.parse(message.data) as BusEvent);
    };
    const onvisibility = () => {
      if (document.visibilityState === "visible") return open();
      hidden = setTimeout(() => source?.close(), HIDDEN_MS);
    };
    open();
    document.addEventListener("visibilitychange", onvisibility);
    return () => {
      document.removeEventListener("visibilitychange", onvisibility);
      clearTimeout(hidden);
      refresh.cancel();
      source?.close();
    };
  }, [client]);

  // biome-ignore lint/correctness/useExhaustiveDependencies: every page that is gone to is read again
  useEffect(() => {
    if (status !== "live") return;
    const settled = setTimeout(() => void client.invalidateQueries(), SETTLE_MS);
    return () => clearTimeout(settled);
  }, [client, status, pathname]);

  return <LiveContext value={status}>{children}</LiveContext>;
}

type Refresh = ReturnType<typeof throttle>;

/** Marks queries as out of date, soon and not too often. */
function throttle(client: QueryClient) {
  const waiting = new Map<string, ReturnType<typeof setTimeout>>();
  const last = new Map<string, number>();
  const ask = (key: readonly unknown[]) => {
    const text = JSON.stringify(key);
    if (waiting.has(text)) return;
    const delay = Math.max(50, (last.get(text) ?? 0) + REFRESH_MS - Date.now());
    waiting.set(
      text,
      setTimeout(() => {
        waiting.delete(text);
        last.set(text, Date.now());
        void client.invalidateQueries({ queryKey: key });
      }, delay),
    );
  };
  ask.cancel = () => {
    for (const timer of waiting.values()) clearTimeout(timer);
  };
  return ask;
}

function apply(client: QueryClient, refresh: Refresh, event: BusEvent): void {
  switch (event.kind) {
    case "event":
      addEvent(client, event);
      if (event.event.category === "certificate") refresh(["certificates"]);
      if (event.event.category === "access") for (const name of ["keys", "users"]) refresh([name]);
      if (event.event.type === "account.updated") refresh(["settings"]);
      if (event.deviceId === null || isUnnamed(client, event.deviceId)) refresh(["overview"]);
      return;
    case "device":
      refresh(["devices"]);
      refresh(["overview"]);
      refresh(["device", { id: event.deviceId }]);
      refresh(["resources", { id: event.deviceId }]);
      if (event.change !== "updated") refresh(["certificates"]);
      return;
    case "values":
      addValues(client, refresh, event);
      return;
    case "observations":
      refresh(["resources", { id: event.deviceId }]);
      return;
  }
}

const isUnnamed = (client: QueryClient, deviceId: string): boolean =>
  client.getQueryData<QueryOutput<"overview">>(["overview", {}])?.deviceNames[deviceId] === undefined;

/** Puts an event at the top, or in the place of the same one of before: repeated ones are one row with a count. */
function addEvent(
  client: QueryClient,
  { accountId, deviceId, event }: Extract<BusEvent, { kind: "event" }>,
): void {
  const row = { ...event, deviceId };
  hear(row, accountId !== null);
  client.setQueryData<QueryOutput<"overview">>(
    ["overview", {}],
    (old) => old && withHeard("overview", {}, old),
  );
  for (const { queryKey } of client.getQueryCache().findAll({ queryKey: ["events"] })) {
    const input = queryKey[1] as QueryInput<"events">;
    client.setQueryData<InfiniteData<QueryOutput<"events">, string | null>>(queryKey, (old) => {
      const [first, ...rest] = old?.pages ?? [];
      if (!old || !first) return old;
      // An older row that changed stays on the page where it is.
      if (rest.some((page) => page.rows.some((other) => other.id === row.id))) return old;
      return { ...old, pages: [withHeard("events", input, first), ...rest] };
    });
  }
}

function addValues(
  client: QueryClient,
  refresh: Refresh,
  event: Extract<BusEvent, { kind: "values" }>,
): void {
  hearValues(event.deviceId, event.source, event.values);
  const input = { id: event.deviceId };
  client.setQueryData<QueryOutput<"resources">>(["resources", input], (old) => {
    if (!old) return old;
    // A value at a place that the tree does not have yet: the tree is read again.
    if (event.values.some(({ path }) => !hasPlace(old, path))) refresh(["resources", input]);
    return withHeard("resources", input, old);
  });
}

function hasPlace(tree: QueryOutput<"resources">, path: string): boolean {
  const [, objectId, instanceId, resourceId, itemId] = path.split("/").map(Number);
  const resource = tree.objects
    .find(({ id }) => id === objectId)
    ?.instances.find(({ id }) => id === instanceId)
    ?.resources.find(({ id }) => id === resourceId);
  return itemId === undefined
    ? resource !== undefined
    : Boolean(resource?.items.some(({ id }) => id === itemId));
}
