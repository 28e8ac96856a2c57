"use client";
import { createContext, type ReactNode, useCallback, useContext, useRef, useSyncExternalStore } from "react";
import { age, dateTime, inFuture } from "./format";

/** One ticking clock for the whole page, in step with the server's. */
interface Ticker {
  now(): number;
  subscribe(listener: () => void): () => void;
  server: number;
}

const NowContext = createContext<Ticker | null>(null);

function createTicker(server: number): Ticker {
  const listeners = new Set<() => void>();
  // A browser whose clock is wrong would otherwise show devices of the future.
  const offset = typeof window === "undefined" ? 0 : server - Date.now();
  const skew = Math.abs(offset) > 5_000 ? offset : 0;
  let now = server;
  let timer: ReturnType<typeof setInterval> | undefined;
  const tick = () => {
    now = Date.now() + skew;
    for (const listener of listeners) listener();
  };
  return {
    server,
    now: () => now,
    subscribe(listener) {
      listeners.add(listener);
      if (!timer) {
        timer = setInterval(tick, 1_000);
        queueMicrotask(tick);
      }
      return () => {
        listeners.delete(listener);
        if (listeners.size === 0) {
          clearInterval(timer);
          timer = undefined;
        }
      };
    },
  };
}

export function NowProvider({ now, children }: { now: number; children: ReactNode }) {
  const ticker = useRef<Ticker>(null);
  ticker.current ??= createTicker(now);
  return <NowContext value={ticker.current}>{children}</NowContext>;
}

function useTicker(): Ticker {
  const ticker = useContext(NowContext);
  if (!ticker) throw new Error("NowProvider is missing");
  return ticker;
}

/** A fact of the present moment; the component renders again only when that fact changes. */
export function useNow<T extends string | number | boolean>(fact: (now: number) => T): T {
  const ticker = useTicker();
  return useSyncExternalStore(
    useCallback((listener: () => void) => ticker.subscribe(listener), [ticker]),
    () => fact(ticker.now()),
    () => fact(ticker.server),
  );
}

const never = () => () => undefined;
/** False while the page shows what the server rendered: the server does not know the reader's time zone. */
export const useInBrowser = () =>
  useSyncExternalStore(
    never,
    () => true,
    () => false,
  );

/** A moment as its distance from now, kept up to date; the exact time on hover. */
export function Ago({ at, className }: { at: number | string | Date; className?: string }) {
  const ms = new Date(at).getTime();
  const text = useNow((now) => (ms > now + 1_500 ? inFuture(ms - now) : age(now - ms)));
  const inBrowser = useInBrowser();
  return (
    <time dateTime={new Date(ms).toISOString()} title={dateTime(ms, !inBrowser)} className={className}>
      {text}
    </time>
  );
}

/** A moment in the reader's own time zone. */
export function At({ at, className }: { at: number | string | Date; className?: string }) {
  const ms = new Date(at).getTime();
  const inBrowser = useInBrowser();
  return (
    <time dateTime={new Date(ms).toISOString()} title={new Date(ms).toISOString()} className={className}>
      {dateTime(ms, !inBrowser)}
    </time>
  );
}
