"use client";
import { Inbox, Radio } from "lucide-react";
import Link from "next/link";
import type { QueryOutput } from "@/server/portal/queries";
import { LoadError } from "../load-error";
import { Badge } from "../status";
import { Ago } from "../time";
import { EmptyState, LoadingRows, Panel } from "../ui/panel";
import { useData } from "../use-data";
import type { Device } from "./device-page";

type Data = QueryOutput<"interest">;

/** Requests come and go without a word. */
const EVERY_MS = 4_000;

/** What applications want of the device: what they asked of it, and what they are told of. */
export function Interest({ device }: { device: Device }) {
  const { data, error, refetch } = useData("interest", { id: device.id }, { everyMs: EVERY_MS });
  if (!data)
    return error ? <LoadError message={error.message} retry={() => void refetch()} /> : <LoadingRows />;
  return (
    <div className="grid grid-cols-1 items-start gap-5 lg:grid-cols-2">
      <Panel
        title="Requests in its queue"
        description="Sent one after the other, as soon as the device can be reached; 20 at most."
      >
        {data.requests.length === 0 ? (
          <EmptyState icon={<Inbox />} title="Nothing waits for the device" />
        ) : (
          <ol className="divide-y divide-line">
            {data.requests.map((request) => (
              <Request key={request.id} request={request} />
            ))}
          </ol>
        )}
      </Panel>
      <Panel title="Who watches" description="Applications that are told when values of the device change.">
        {data.subscribers.length === 0 ? (
          <EmptyState icon={<Radio />} title="No application watches it" />
        ) : (
          <ul className="divide-y divide-line">
            {data.subscribers.map(({ owner, paths }) => (
              <li key={owner.id} className="px-4 py-2.5">
                <p className="text-sm">
                  <Owner owner={owner} />
                </p>
                <ul className="mt-1 flex flex-wrap gap-1.5">
                  {paths.map((path) => (
                    <li key={path}>
                      <Badge className="font-mono font-normal">{path}</Badge>
                    </li>
                  ))}
                </ul>
              </li>
            ))}
          </ul>
        )}
      </Panel>
    </div>
  );
}

function Owner({ owner }: { owner: NonNullable<Data["requests"][number]["owner"]> }) {
  return (
    <Link
      href={owner.kind === "application" ? "/applications" : "/keys"}
      className="rounded font-medium hover:underline"
    >
      {owner.name}
    </Link>
  );
}

function Request({ request }: { request: Data["requests"][number] }) {
  return (
    <li className="px-4 py-2.5">
      <div className="flex items-start justify-between gap-3">
        <p className="min-w-0 break-all font-mono text-xs leading-5">
          <span className="font-semibold">{request.method}</span> {request.uri}
        </p>
        {request.sent ? <Badge tone="info">Under way</Badge> : <Badge>Waiting</Badge>}
      </div>
      <p className="mt-0.5 text-muted text-xs">
        {request.owner ? <Owner owner={request.owner} /> : "A program that is gone"},{" "}
        <Ago at={request.createdAt} />; expires <Ago at={request.expiresAt} />
      </p>
      <p className="break-all text-2xs text-muted">
        <span className="font-mono">{request.asyncId}</span>
      </p>
    </li>
  );
}
