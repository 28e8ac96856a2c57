"use client";
import { ArrowLeft, Ban, RefreshCcw } from "lucide-react";
import Link from "next/link";
import { parseAsStringLiteral, useQueryState } from "nuqs";
import type { ReactNode } from "react";
import type { QueryOutput } from "@/server/portal/queries";
import { categoryWords } from "../format";
import { LoadError } from "../load-error";
import { CliHint } from "../page-header";
import { DeviceBadge, Expiry, Reachable } from "../status";
import { Ago } from "../time";
import { Timeline } from "../timeline";
import { Button } from "../ui/button";
import { Copyable } from "../ui/copy";
import { Notice, Panel } from "../ui/panel";
import { Tab, TabList, TabPanel, Tabs } from "../ui/tabs";
import { useData } from "../use-data";
import { Details } from "./details";
import { DeviceActions } from "./device-actions";
import { Interest } from "./interest";
import { Resources } from "./resources";

export type Device = QueryOutput<"device">;

const TABS = ["resources", "timeline", "applications", "details"] as const;

export function DevicePage({ id }: { id: string }) {
  const { data: device, error, refetch } = useData("device", { id });
  const [tab, setTab] = useQueryState("tab", parseAsStringLiteral(TABS).withDefault("resources"));
  if (error?.failure.code === "not_found") return <Gone />;
  if (!device) return error ? <LoadError message={error.message} retry={() => void refetch()} /> : null;
  return (
    <>
      <Link
        href="/devices"
        className="mb-3 inline-flex items-center gap-1.5 rounded text-muted text-sm hover:text-ink"
      >
        <ArrowLeft className="size-3.5" aria-hidden />
        Devices
      </Link>
      <Header device={device} />
      <Identity device={device} />
      <Tabs value={tab} onValueChange={(next) => void setTab(next as (typeof TABS)[number])} className="mt-6">
        <TabList aria-label="Device">
          <Tab value="resources">Resources</Tab>
          <Tab value="timeline">Timeline</Tab>
          <Tab value="applications">Applications</Tab>
          <Tab value="details">Details</Tab>
        </TabList>
        <TabPanel value="resources">
          <Resources device={device} />
        </TabPanel>
        <TabPanel value="timeline">
          <Timeline deviceId={id} />
        </TabPanel>
        <TabPanel value="applications">
          <Interest device={device} />
        </TabPanel>
        <TabPanel value="details">
          <Details device={device} />
        </TabPanel>
      </Tabs>
      <CliHint
        commands={[
          { does: "show it", run: `npm run --silent gangway -- devices show ${id}` },
          { does: "have it bootstrap again", run: `npm run --silent gangway -- devices rebootstrap ${id}` },
          { does: "reboot it", run: `npm run --silent gangway -- devices reboot ${id}` },
        ]}
      />
    </>
  );
}

function Gone() {
  return (
    <Panel className="p-6">
      <h1 className="font-semibold text-lg">This device was deleted</h1>
      <p className="mt-1 text-muted text-sm">It comes back as a new one if it bootstraps again.</p>
      <Button asChild variant="primary" size="md" className="mt-4">
        <Link href="/devices">Go to the devices</Link>
      </Button>
    </Panel>
  );
}

function Header({ device }: { device: Device }) {
  const title = device.name || device.endpointName;
  return (
    <div className="mb-5 flex flex-wrap items-start justify-between gap-x-6 gap-y-3">
      <div className="min-w-0 max-w-full">
        <h1 className="break-words font-semibold text-xl">{title}</h1>
        <div className="mt-1.5 flex flex-wrap items-center gap-x-3 gap-y-1 text-sm">
          <DeviceBadge device={device} />
          <Reachable
            lastSeenAt={device.lastSeenAt}
            expiresAt={device.expiresAt}
            queueMode={device.registration?.queueMode}
          />
          {device.lastSeenAt ? (
            <span className="text-muted">
              Last seen <Ago at={device.lastSeenAt} />
            </span>
          ) : null}
        </div>
        {device.description ? (
          <p className="mt-2 max-w-2xl whitespace-pre-line text-muted text-sm">{device.description}</p>
        ) : null}
      </div>
      <DeviceActions device={device} title={title} />
      {device.suspension ? (
        <Notice tone="bad" icon={<Ban aria-hidden />} className="w-full">
          <p>
            Suspended <Ago at={device.suspension.since} />:{" "}
            <strong className="font-medium">{categoryWords(device.suspension.category)}</strong>. It is turned
            away, and requests to it fail, until it is resumed.
          </p>
          {device.suspension.description ? (
            <p className="mt-1 whitespace-pre-line text-muted">{device.suspension.description}</p>
          ) : null}
        </Notice>
      ) : null}
      {device.rebootstrapPending ? (
        <Notice icon={<RefreshCcw aria-hidden />} className="w-full">
          Its next registration will be refused, so that it goes back to the bootstrap server.
        </Notice>
      ) : null}
    </div>
  );
}

function Identity({ device }: { device: Device }) {
  const facts: [string, ReactNode][] = [
    ["Device ID", <Copyable key="id" text={device.id} label="the device ID" />],
    ["Endpoint name", <Copyable key="ep" text={device.endpointName} label="the endpoint name" />],
    [
      "Address",
      device.address ? (
        <span key="address" className="text-sm">
          <span className="font-mono text-xs">{device.address}</span>{" "}
          <span className="text-muted">{device.transport?.toUpperCase()}</span>
        </span>
      ) : null,
    ],
    [
      "Bootstraps with",
      device.ca ? (
        <Link key="ca" href="/certificates" className="rounded text-accent text-sm hover:underline">
          {device.ca.name}
        </Link>
      ) : device.bootstrapFingerprint ? (
        <span key="ca" className="text-sm text-warn">
          A certificate that was deleted
        </span>
      ) : null,
    ],
    [
      "LwM2M certificate",
      device.connectorExpirationDate ? (
        <span key="cert" className="text-sm">
          expires <Expiry notAfter={device.connectorExpirationDate} />
        </span>
      ) : null,
    ],
    [
      "Registration",
      device.registration ? (
        <span key="registration" className="text-sm">
          LwM2M {device.registration.lwm2mVersion}, {device.registration.lifetime.toLocaleString("en")} s,
          updated <Ago at={device.registration.updatedAt} />
        </span>
      ) : null,
    ],
  ];
  return (
    <Panel>
      <dl className="grid gap-px bg-line sm:grid-cols-2 lg:grid-cols-3">
        {facts.map(([name, value]) => (
          <div key={name} className="min-w-0 bg-surface px-4 py-2.5">
            <dt className="text-muted text-xs">{name}</dt>
            <dd className="flex min-h-7 items-center">{value ?? <span className="text-faint">–</span>}</dd>
          </div>
        ))}
      </dl>
    </Panel>
  );
}
