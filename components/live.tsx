"use client";
import { type InfiniteData, type QueryClient, useQueryClient } from "@tanstack/react-query";
import { createContext, type ReactNode, useContext, useEffect, useState } from "react";
import type { BusEvent } from "@/server/bus/messages";
import type { QueryInput, QueryOutput } from "@/server/portal/queries";

type Status = "connecting" | "live" | "lost";
const LiveContext = createContext<Status>("connecting");

/** Whether what the page shows is kept up to date. */
export const useLive = () => useContext(LiveContext);

/** A page in the background gives its connection back after this long: a browser has six per host. */
const HIDDEN_MS = 10_000;
/** Many devices change at once; lists are read again at most this often. */
const REFRESH_MS = 1_000;

/** One stream of everything that happens in the account, kept in the caches that pages read. */
export function LiveProvider({ children }: { children: ReactNode }) {
  const client = useQueryClient();
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
      if (event.event.category === "access") refresh(["keys"]);
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

type Row = QueryOutput<"events">["rows"][number];

/** Puts an event at the top, or in the place of the same one of before: repeated ones are one row with a count. */
function addEvent(client: QueryClient, { deviceId, event }: Extract<BusEvent, { kind: "event" }>): void {
  const row: Row = { ...event, deviceId };
  const merge = (rows: Row[], max: number) =>
    [row, ...rows.filter((other) => other.id !== row.id)]
      .sort((a, b) => (a.id < b.id ? 1 : -1))
      .slice(0, max);
  client.setQueryData<QueryOutput<"overview">>(
    ["overview", {}],
    (old) => old && { ...old, recentEvents: merge(old.recentEvents, 20) },
  );
  const lists = client.getQueryCache().findAll({ queryKey: ["events"] });
  for (const { queryKey } of lists) {
    const input = queryKey[1] as QueryInput<"events">;
    if (input.deviceId && input.deviceId !== deviceId) continue;
    if (input.knocks && deviceId !== null) continue;
    if (input.knocks && !["connection", "bootstrap", "registration"].includes(row.category)) continue;
    if (input.category && input.category !== row.category) continue;
    if (input.outcome && input.outcome !== row.outcome) continue;
    client.setQueryData<InfiniteData<QueryOutput<"events">, string | null>>(queryKey, (old) => {
      const [first, ...rest] = old?.pages ?? [];
      if (!old || !first) return old;
      // An older row that changed stays on the page where it is.
      const elsewhere = rest.some((page) => page.rows.some((other) => other.id === row.id));
      if (elsewhere) return old;
      return { ...old, pages: [{ ...first, rows: merge(first.rows, Number.POSITIVE_INFINITY) }, ...rest] };
    });
  }
}

function addValues(
  client: QueryClient,
  refresh: Refresh,
  event: Extract<BusEvent, { kind: "values" }>,
): void {
  const key = ["resources", { id: event.deviceId }];
  const fresh = new Map(event.values.map((value) => [value.path, value]));
  client.setQueryData<QueryOutput<"resources">>(key, (old) => {
    if (!old) return old;
    const known = new Set<string>();
    const objects = old.objects.map((object) => ({
      ...object,
      instances: object.instances.map((instance) => ({
        ...instance,
        resources: instance.resources.map((resource) => {
          const now = fresh.get(resource.path);
          if (now) known.add(resource.path);
          const items = resource.items.map((item) => {
            const value = fresh.get(item.path);
            if (value) known.add(item.path);
            return value ? { ...item, value: value.value, at: value.at, source: event.source } : item;
          });
          if (!now && items.every((item, index) => item === resource.items[index])) return resource;
          return {
            ...resource,
            items,
            value: now ? { value: now.value, at: now.at, source: event.source } : resource.value,
          };
        }),
      })),
    }));
    // A value at a place that the tree does not have yet: the tree is read again.
    if (known.size < fresh.size) refresh(key);
    return { ...old, objects };
  });
}
