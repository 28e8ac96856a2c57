"use client";
import { DoorClosed, Lightbulb } from "lucide-react";
import type { QueryOutput } from "@/server/portal/queries";
import { LoadError } from "../load-error";
import { ShowOlder } from "../show-older";
import { Badge } from "../status";
import { Ago } from "../time";
import { EventData } from "../timeline";
import { CopyButton } from "../ui/copy";
import { EmptyState, LoadingRows, Panel } from "../ui/panel";
import { useEvents } from "../use-data";

type Event = QueryOutput<"events">["rows"][number];

/** Everybody who was turned away before becoming a device, with the reason and what may help. */
export function KnockList() {
  const query = useEvents({
    knocks: true,
  });
  const { rows, error, refetch } = query;
  if (error && !rows) return <LoadError message={error.message} retry={() => void refetch()} />;
  if (!rows) return <LoadingRows />;
  if (rows.length === 0)
    return (
      <Panel>
        <EmptyState icon={<DoorClosed />} title="Nobody was turned away">
          A device that does not get in appears here within a second, with the reason in words. One that does
          not appear here never reached this machine: check its address, its network and the firewall for UDP
          and TCP.
        </EmptyState>
      </Panel>
    );
  return (
    <div className="grid gap-4">
      <Panel>
        <ul className="divide-y divide-line">
          {rows.map((event) => (
            <Knock key={event.id} event={event} />
          ))}
        </ul>
      </Panel>
      <ShowOlder query={query} />
    </div>
  );
}

const sentence = (words: string) => words.charAt(0).toUpperCase() + words.slice(1);

function Knock({ event }: { event: Event }) {
  const text = (key: string) => {
    const value = event.data[key];
    return typeof value === "string" && value !== "" ? value : null;
  };
  const count = typeof event.data.count === "number" ? event.data.count : 1;
  const fingerprint = text("fingerprint");
  const certificate = [
    ["Subject", text("subject")],
    ["Issuer", text("issuer")],
    ["Endpoint", text("endpointName")],
  ] as const;
  return (
    <li className="px-4 py-4" data-event={event.type}>
      <div className="flex items-start justify-between gap-4">
        <h2 className="min-w-0 break-words font-medium text-sm">
          {sentence(text("reason") ?? event.description)}
        </h2>
        <Ago at={event.at} className="shrink-0 whitespace-nowrap text-muted text-xs leading-5" />
      </div>
      <p className="mt-1 flex flex-wrap items-center gap-x-2 gap-y-1 text-muted text-xs">
        <Badge tone="bad">
          {sentence(event.type.startsWith("handshake") ? "handshake" : event.category)}
        </Badge>
        {text("address") ? <span className="font-mono">{text("address")}</span> : null}
        {text("transport") ? <span>{text("transport")?.toUpperCase()}</span> : null}
        {text("service") ? (
          <span>{text("service") === "bootstrap" ? "bootstrap service" : "LwM2M service"}</span>
        ) : null}
        {text("alert") ? <span>answered with the alert {text("alert")}</span> : null}
        {count > 1 ? <span className="tabular">{count} times</span> : null}
      </p>
      {certificate.some(([, value]) => value) || fingerprint ? (
        <dl className="mt-2.5 grid grid-cols-[auto_minmax(0,1fr)] gap-x-4 gap-y-0.5 text-xs">
          {certificate.map(([name, value]) =>
            value ? (
              <div key={name} className="contents">
                <dt className="text-muted">{name}</dt>
                <dd className="break-words font-mono">{value}</dd>
              </div>
            ) : null,
          )}
          {fingerprint ? (
            <div className="contents">
              <dt className="text-muted">SHA-256</dt>
              <dd className="flex items-start gap-1 font-mono">
                <span className="break-all">{fingerprint}</span>
                <CopyButton text={fingerprint} label="Copy the fingerprint" className="-my-1.5" />
              </dd>
            </div>
          ) : null}
        </dl>
      ) : null}
      {text("hint") ? (
        <p className="mt-2.5 flex gap-2 text-sm">
          <Lightbulb className="mt-0.5 size-4 shrink-0 text-accent" aria-hidden />
          {text("hint")}
        </p>
      ) : null}
      <details className="mt-2 text-xs">
        <summary className="cursor-pointer rounded text-muted hover:text-ink">Everything known</summary>
        <div className="mt-2 overflow-hidden rounded-md">
          <EventData event={event} />
        </div>
      </details>
    </li>
  );
}
