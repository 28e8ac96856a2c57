"use client";
import { ArrowRight, TriangleAlert } from "lucide-react";
import Link from "next/link";
import type { ReactNode } from "react";
import type { QueryOutput } from "@/server/portal/queries";
import { plural } from "../format";
import { LoadError } from "../load-error";
import { CliHint, PageHeader } from "../page-header";
import { STATES, type Tone } from "../states";
import { Dot, Expiry } from "../status";
import { Ago } from "../time";
import { EventList } from "../timeline";
import { cn } from "../ui/cn";
import { EmptyState, Notice, Panel } from "../ui/panel";
import { useData } from "../use-data";
import { FirstDevice } from "./first-device";

type Overview = QueryOutput<"overview">;

export function OverviewPage() {
  const { data, error, refetch } = useData("overview", {});
  if (!data) return error ? <LoadError message={error.message} retry={() => void refetch()} /> : null;
  const first = data.counts.registered === 0 && data.counts.deregistered === 0;
  return (
    <>
      <PageHeader title="Overview">
        {first
          ? "The way to the first live device. Each step ticks itself off when it has happened."
          : undefined}
      </PageHeader>
      <div className="grid gap-5">
        <Warnings overview={data} />
        {first ? <FirstDevice overview={data} /> : <Counts overview={data} />}
        <div className="grid items-start gap-5 lg:grid-cols-[minmax(0,1fr)_19rem]">
          <section aria-labelledby="recent">
            <div className="mb-2 flex items-baseline justify-between">
              <h2 id="recent" className="font-semibold text-sm">
                Recent events
              </h2>
            </div>
            <EventList
              rows={data.recentEvents}
              names={data.deviceNames}
              empty={
                <Panel>
                  <EmptyState title="Nothing has happened yet">
                    What devices and people do appears here by itself.
                  </EmptyState>
                </Panel>
              }
            />
          </section>
          <Gateway overview={data} />
        </div>
      </div>
      <CliHint
        commands={[{ does: "devices with their states", run: "npm run --silent gangway -- devices list" }]}
      />
    </>
  );
}

function Warnings({ overview }: { overview: Overview }) {
  const lines: { key: string; tone: "warn" | "bad"; text: ReactNode }[] = [];
  if (overview.gateway === null)
    lines.push({
      key: "gateway",
      tone: "bad",
      text: "The gateway does not answer: no device can bootstrap or register. Look at the terminal where Gangway was started.",
    });
  for (const { id, name, notAfter } of overview.expiringCertificates)
    lines.push({
      key: id,
      tone: "warn",
      text: (
        <>
          Certificate{" "}
          <Link href="/certificates" className="font-medium underline underline-offset-2">
            {name}
          </Link>
          : expires <Expiry notAfter={notAfter} />.
        </>
      ),
    });
  if (overview.expiringDevices > 0)
    lines.push({
      key: "devices",
      tone: "warn",
      text: (
        <>
          <Link href="/devices?sort=expires&order=asc" className="font-medium underline underline-offset-2">
            {plural(overview.expiringDevices, "device")}
          </Link>{" "}
          with an LwM2M certificate that expires within 30 days. A device renews it by itself when it
          bootstraps again.
        </>
      ),
    });
  if (lines.length === 0) return null;
  return (
    <div className="grid gap-2">
      {lines.map(({ key, tone, text }) => (
        <Notice key={key} tone={tone} icon={<TriangleAlert aria-hidden />}>
          {text}
        </Notice>
      ))}
    </div>
  );
}

function Counts({ overview }: { overview: Overview }) {
  const { counts, total, online, knocks24h } = overview;
  const cells: {
    label: string;
    value: number;
    href: string;
    tone?: Tone;
    hollow?: boolean;
    note?: string;
  }[] = [
    { label: "Devices", value: total, href: "/devices" },
    { label: "Online", value: online, href: "/devices?state=registered", tone: "ok" },
    ...(["registered", "bootstrapped", "cloud_enrolling", "deregistered"] as const).map((state) => ({
      label: STATES[state].label,
      value: counts[state],
      href: `/devices?state=${state}`,
      tone: STATES[state].tone,
      hollow: true,
    })),
    {
      label: "Knocks, 24 h",
      value: knocks24h,
      href: "/knocks",
      tone: knocks24h > 0 ? "bad" : "idle",
      hollow: true,
    },
  ];
  return (
    <ul className="grid grid-cols-2 gap-px overflow-hidden rounded-lg border border-line bg-line sm:grid-cols-4 lg:grid-cols-7">
      {cells.map(({ label, value, href, tone, hollow }, index) => (
        <li key={label} className={cn("bg-surface", index === 0 && "max-sm:col-span-2")}>
          <Link href={href} className="group block h-full px-4 py-3.5 -outline-offset-2 hover:bg-hover/60">
            <span className="flex items-center gap-1.5 text-muted text-xs">
              {tone ? <Dot tone={tone} shape={hollow ? "ring" : "full"} /> : null}
              {label}
            </span>
            <span className="tabular mt-1 block font-semibold text-2xl tracking-tight">
              {value.toLocaleString("en")}
            </span>
          </Link>
        </li>
      ))}
      <li aria-hidden className="hidden bg-surface sm:block lg:hidden" />
    </ul>
  );
}

function Gateway({ overview }: { overview: Overview }) {
  const { gateway } = overview;
  return (
    <Panel
      title="Gateway"
      className="lg:mt-[1.75rem]"
      actions={
        <Link
          href="/server"
          className="inline-flex items-center gap-1 rounded text-accent text-xs hover:underline"
        >
          Details
          <ArrowRight className="size-3" aria-hidden />
        </Link>
      }
    >
      <dl className="grid grid-cols-[auto_minmax(0,1fr)] gap-x-4 gap-y-1.5 px-4 py-3 text-sm">
        <dt className="text-muted">State</dt>
        <dd className="flex items-center justify-end gap-1.5">
          <Dot tone={gateway ? "ok" : "bad"} shape={gateway ? "full" : "ring"} />
          {gateway ? "Up" : "Down"}
        </dd>
        {gateway ? (
          <>
            <dt className="text-muted">Started</dt>
            <dd className="text-right">
              <Ago at={gateway.startedAt} />
            </dd>
            <dt className="text-muted">Registrations</dt>
            <dd className="tabular text-right">{gateway.registrations.toLocaleString("en")}</dd>
            <dt className="text-muted">Open sessions</dt>
            <dd className="tabular text-right">{gateway.peers.toLocaleString("en")}</dd>
          </>
        ) : null}
      </dl>
      {gateway ? (
        <ul className="border-line border-t px-4 py-3 font-mono text-muted text-xs">
          {gateway.listeners.map(({ uri }) => (
            <li key={uri} className="truncate" title={uri}>
              {uri}
            </li>
          ))}
        </ul>
      ) : null}
    </Panel>
  );
}
