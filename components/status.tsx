"use client";
import type { ReactNode } from "react";
import { categoryWords, day, span } from "./format";
import { isState, STATES, type Tone } from "./states";
import { useNow } from "./time";
import { cn } from "./ui/cn";
import { Tooltip } from "./ui/tooltip";

const text: Record<Tone, string> = {
  ok: "text-ok",
  warn: "text-warn",
  bad: "text-bad",
  info: "text-accent",
  idle: "text-muted",
};
const soft: Record<Tone, string> = {
  ok: "bg-ok-soft text-ok",
  warn: "bg-warn-soft text-warn",
  bad: "bg-bad-soft text-bad",
  info: "bg-accent-soft text-accent",
  idle: "bg-sunken text-muted",
};

/** A word with its colour. */
export function Badge({
  tone = "idle",
  children,
  className,
}: {
  tone?: Tone;
  children: ReactNode;
  className?: string;
}) {
  return (
    <span
      className={cn(
        "inline-flex h-5 items-center whitespace-nowrap rounded px-1.5 font-medium text-xs",
        soft[tone],
        className,
      )}
    >
      {children}
    </span>
  );
}

/** Its shape says the same as its colour: full, half, ring. */
export function Dot({ tone, shape = "full" }: { tone: Tone; shape?: "full" | "half" | "ring" }) {
  return (
    <svg viewBox="0 0 8 8" className={cn("size-2 shrink-0", text[tone])} aria-hidden>
      {shape === "full" ? <circle cx="4" cy="4" r="4" fill="currentColor" /> : null}
      {shape === "half" ? <path d="M4 0a4 4 0 0 1 0 8z" fill="currentColor" /> : null}
      {shape === "full" ? null : (
        <circle cx="4" cy="4" r="3.25" fill="none" stroke="currentColor" strokeWidth="1.5" />
      )}
    </svg>
  );
}

/** Where a device stands in its life. */
export function StateBadge({ state }: { state: string }) {
  if (!isState(state)) return <Badge>{state}</Badge>;
  const { label, tone, why } = STATES[state];
  return (
    <Tooltip content={why}>
      <button type="button" className="relative z-10 shrink-0 cursor-help rounded">
        <Badge tone={tone}>{label}</Badge>
      </button>
    </Tooltip>
  );
}

/** The same where a device may be turned away: that matters more than where it was before. */
export function DeviceBadge({
  device,
}: {
  device: { state: string; suspension: { category: string; since: string } | null };
}) {
  const { suspension } = device;
  if (!suspension) return <StateBadge state={device.state} />;
  return (
    <Tooltip
      content={`Suspended since ${day(suspension.since)}: ${categoryWords(suspension.category).toLowerCase()}. It is turned away until it is resumed.`}
    >
      <button type="button" className="relative z-10 shrink-0 cursor-help rounded">
        <Badge tone="bad">Suspended</Badge>
      </button>
    </Tooltip>
  );
}

interface Reach {
  lastSeenAt: string | null;
  /** When its registration runs out; null: it has none. */
  expiresAt: string | null;
  queueMode?: boolean;
}

type Reachability = "online" | "asleep" | "overdue" | "offline" | "never";

/** Whether it can be talked to, as far as its own promises tell. */
function reachability({ expiresAt, lastSeenAt, queueMode }: Reach, now: number): Reachability {
  if (lastSeenAt === null) return "never";
  if (!expiresAt) return "offline";
  if (now > Date.parse(expiresAt)) return "overdue";
  return queueMode ? "asleep" : "online";
}

const REACH: Record<Reachability, { label: string; tone: Tone; shape: "full" | "half" | "ring" }> = {
  online: { label: "Online", tone: "ok", shape: "full" },
  asleep: { label: "Queue mode", tone: "info", shape: "half" },
  overdue: { label: "Overdue", tone: "warn", shape: "half" },
  offline: { label: "Offline", tone: "idle", shape: "ring" },
  never: { label: "Never seen", tone: "idle", shape: "ring" },
};

/** Whether a device can be talked to, apart from where it stands in its life. */
export function Reachable(device: Reach) {
  const reach = useNow((now) => reachability(device, now));
  const { label, tone, shape } = REACH[reach];
  const why = {
    online: "Its registration is valid: it reported within the time that it promised.",
    asleep: "Its registration is valid, but it sleeps in between and takes requests when it wakes.",
    overdue: "It did not report within the time that it promised.",
    offline: "It has no registration, so there is no way to reach it. It has to make contact itself.",
    never: "No message of it has arrived yet.",
  }[reach];
  return (
    <Tooltip content={why}>
      <button
        type="button"
        className="relative z-10 inline-flex cursor-help items-center gap-1.5 whitespace-nowrap rounded text-sm"
      >
        <Dot tone={tone} shape={shape} />
        {label}
      </button>
    </Tooltip>
  );
}

const DAY = 86_400_000;
export const expiryTone = (notAfter: string | number, now: number): Tone => {
  const left = new Date(notAfter).getTime() - now;
  return left < 0 ? "bad" : left < 30 * DAY ? "warn" : "idle";
};

/** When a certificate ends; louder as it comes closer. */
export function Expiry({ notAfter, className }: { notAfter: string; className?: string }) {
  const ms = Date.parse(notAfter);
  const tone = useNow((now) => expiryTone(ms, now));
  const words = useNow((now) => (ms < now ? `expired ${span(now - ms)} ago` : `in ${span(ms - now)}`));
  return (
    <time
      dateTime={notAfter}
      title={`Valid until ${notAfter.slice(0, 19).replace("T", " ")} UTC`}
      className={cn("whitespace-nowrap", tone === "idle" ? "" : `font-medium ${text[tone]}`, className)}
    >
      {words}
    </time>
  );
}

const OUTCOME: Record<string, Tone> = { SUCCESS: "ok", FAIL: "bad", SKIPPED: "warn", INFO: "info" };
export const outcomeTone = (outcome: string): Tone => OUTCOME[outcome] ?? "idle";
