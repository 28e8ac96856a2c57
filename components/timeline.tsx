"use client";
import { ChevronRight, History } from "lucide-react";
import Link from "next/link";
import { type ReactNode, useState } from "react";
import type { QueryOutput } from "@/server/portal/queries";
import { dateTime } from "./format";
import { LoadError } from "./load-error";
import { ShowOlder } from "./show-older";
import { Dot, outcomeTone } from "./status";
import { Ago, useInBrowser } from "./time";
import { cn } from "./ui/cn";
import { CopyButton } from "./ui/copy";
import { EmptyState, LoadingRows } from "./ui/panel";
import { Segmented } from "./ui/segmented";
import { useEvents } from "./use-data";

type Event = QueryOutput<"events">["rows"][number];

const CATEGORIES = {
  all: "All",
  bootstrap: "Bootstrap",
  registration: "Registration",
  connection: "Connection",
  resource: "Resources",
  device: "Changes",
} as const;
type Category = keyof typeof CATEGORIES;

/** Everything that happened to a device, live, the newest first. */
export function Timeline({ deviceId }: { deviceId: string }) {
  const [category, setCategory] = useState<Category>("all");
  const input = category === "all" ? { deviceId } : { deviceId, category };
  const query = useEvents(input);
  const { rows, error, refetch } = query;
  return (
    <div className="grid gap-3">
      <Segmented
        label="Kind of event"
        className="justify-self-start"
        value={category}
        onChange={setCategory}
        options={Object.entries(CATEGORIES).map(([value, label]) => ({ value: value as Category, label }))}
      />
      {error && !rows ? (
        <LoadError message={error.message} retry={() => void refetch()} />
      ) : !rows ? (
        <LoadingRows />
      ) : rows.length === 0 ? (
        <EmptyState icon={<History />} title="Nothing of this kind has happened">
          It will appear here by itself.
        </EmptyState>
      ) : (
        <>
          <EventList rows={rows} />
          <ShowOlder query={query} />
        </>
      )}
    </div>
  );
}

/** Rows of a timeline; each opens to what is known beyond its sentence. */
export function EventList({
  rows,
  names,
  empty,
}: {
  rows: Event[];
  /** Device names by their ID, where events of several devices stand together. */
  names?: Record<string, string>;
  empty?: ReactNode;
}) {
  if (rows.length === 0) return empty;
  return (
    <ol className="divide-y divide-line overflow-hidden rounded-lg border border-line bg-surface">
      {rows.map((event) => (
        <EventRow key={event.id} event={event} names={names} />
      ))}
    </ol>
  );
}

function EventRow({ event, names }: { event: Event; names: Record<string, string> | undefined }) {
  const [open, setOpen] = useState(false);
  const { deviceId } = event;
  return (
    <li data-event={event.type}>
      <div className="relative flex items-start gap-3 px-4 py-2.5 hover:bg-hover/60">
        <span className="mt-[0.4375rem]">
          <Dot tone={outcomeTone(event.outcome)} shape={event.outcome === "INFO" ? "ring" : "full"} />
        </span>
        <div className="min-w-0 flex-1 gap-x-4 sm:flex sm:items-start">
          <button
            type="button"
            aria-expanded={open}
            onClick={() => setOpen(!open)}
            className="block min-w-0 flex-1 rounded text-left text-sm [overflow-wrap:anywhere] after:absolute after:inset-0"
          >
            {event.outcome === "FAIL" ? <span className="sr-only">Failed: </span> : null}
            {event.description}
          </button>
          <div className="flex shrink-0 items-baseline gap-3 text-xs leading-5">
            {names && deviceId ? (
              names[deviceId] ? (
                <Link
                  href={`/devices/${deviceId}`}
                  title={names[deviceId]}
                  className="relative z-10 block max-w-40 truncate rounded text-accent hover:underline"
                >
                  {names[deviceId]}
                </Link>
              ) : (
                <span className="text-muted">Deleted device</span>
              )
            ) : null}
            <Ago at={event.at} className="whitespace-nowrap text-muted sm:min-w-16 sm:text-right" />
          </div>
        </div>
        <ChevronRight
          className={cn("mt-1 size-3.5 shrink-0 text-muted transition-transform", open && "rotate-90")}
          aria-hidden
        />
      </div>
      {open ? <EventData event={event} /> : null}
    </li>
  );
}

function words(key: string): string {
  const spaced = key.replace(/([a-z])([A-Z])/g, "$1 $2").toLowerCase();
  return spaced.charAt(0).toUpperCase() + spaced.slice(1);
}

function show(value: unknown): string {
  if (Array.isArray(value)) return value.map(show).join(", ");
  if (typeof value === "object" && value !== null) return JSON.stringify(value);
  return String(value);
}

/** What is known of an event beyond its sentence. */
export function EventData({ event }: { event: Event }) {
  const inBrowser = useInBrowser();
  const facts: [string, string][] = [
    ["Time", dateTime(event.at, !inBrowser)],
    ["Type", event.type],
    ["By", event.actor.replace(/^user:/, "")],
    ...Object.entries(event.data)
      .filter(([, value]) => value !== null && value !== "")
      .map(([key, value]): [string, string] => [words(key), show(value)]),
    ["Event ID", event.id],
  ];
  return (
    <dl className="grid grid-cols-[minmax(6rem,auto)_minmax(0,1fr)] gap-x-5 gap-y-1 border-line border-t bg-sunken px-4 py-3 pl-9 text-xs">
      {facts.map(([name, value]) => (
        <div key={name} className="contents">
          <dt className="text-muted">{name}</dt>
          <dd className="flex items-start gap-1 break-words font-mono">
            <span className="min-w-0 break-words">{value}</span>
            {name === "Event ID" ? (
              <CopyButton text={value} label="Copy the event ID" className="-my-1.5" />
            ) : null}
          </dd>
        </div>
      ))}
    </dl>
  );
}
