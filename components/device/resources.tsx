"use client";
import { Boxes, ChevronRight, RefreshCw } from "lucide-react";
import { useState } from "react";
import type { QueryOutput } from "@/server/portal/queries";
import type { ResourceNode } from "@/server/services/devices/resource-tree";
import { plural } from "../format";
import { LoadError } from "../load-error";
import { Button } from "../ui/button";
import { cn } from "../ui/cn";
import { EmptyState, LoadingRows, Notice, Panel } from "../ui/panel";
import { useData } from "../use-data";
import type { Device } from "./device-page";
import { ResourceRow } from "./resource-row";
import { ResultLine, useOperation } from "./use-operation";

type ObjectNode = QueryOutput<"resources">["objects"][number];

/** What the device has: objects, their instances, their resources. */
export function Resources({ device }: { device: Device }) {
  const { data, error, refetch } = useData("resources", { id: device.id });
  if (!data)
    return error ? <LoadError message={error.message} retry={() => void refetch()} /> : <LoadingRows />;
  if (data.objects.length === 0)
    return (
      <Panel>
        <EmptyState
          icon={<Boxes />}
          title={
            device.state === "registered" ? "The device named no objects" : "The device is not registered"
          }
        >
          {device.state === "registered"
            ? "Its registration has an empty object list."
            : "It tells what it has when it registers. Its resources will appear here by themselves."}
        </EmptyState>
      </Panel>
    );
  return (
    <div className="grid gap-4">
      {data.registered ? null : (
        <Notice tone="warn">
          The device is not registered, so it cannot be asked. These are its last known values.
        </Notice>
      )}
      {data.objects.map((object) => (
        <ObjectPanel key={object.id} deviceId={device.id} object={object} reachable={data.registered} />
      ))}
    </div>
  );
}

function ObjectPanel({
  deviceId,
  object,
  reachable,
}: {
  deviceId: string;
  object: ObjectNode;
  reachable: boolean;
}) {
  const many = object.instances.length > 3;
  const [open, setOpen] = useState(true);
  return (
    <Panel>
      <h2>
        <button
          type="button"
          aria-expanded={open}
          onClick={() => setOpen(!open)}
          className="flex w-full items-center gap-2 px-4 py-3 text-left -outline-offset-2 hover:bg-hover/60"
        >
          <ChevronRight
            className={cn("size-3.5 shrink-0 text-muted transition-transform", open && "rotate-90")}
            aria-hidden
          />
          <span className="font-semibold text-sm">{object.name}</span>
          <span className="font-mono text-muted text-xs">/{object.id}</span>
          {object.version ? <span className="text-muted text-xs">v{object.version}</span> : null}
          <span className="ml-auto text-muted text-xs">
            {many ? plural(object.instances.length, "instance") : null}
          </span>
        </button>
      </h2>
      {open
        ? object.instances.map((instance) => (
            <Instance
              key={instance.id}
              deviceId={deviceId}
              object={object}
              instance={instance}
              reachable={reachable}
            />
          ))
        : null}
      {open && !object.defined ? (
        <p className="border-line border-t px-4 py-2 text-muted text-xs">
          This object is not in the public registry, so names, types and operations are not known.
        </p>
      ) : null}
    </Panel>
  );
}

/** The sensor objects of IPSO tell the unit of their values in a resource of its own. */
const SENSOR_UNITS = 5701;
const MEASURED: ReadonlySet<number> = new Set([5700, 5601, 5602, 5603, 5604]);

function Instance({
  deviceId,
  object,
  instance,
  reachable,
}: {
  deviceId: string;
  object: ObjectNode;
  instance: ObjectNode["instances"][number];
  reachable: boolean;
}) {
  const { run, busy, result } = useOperation(deviceId);
  const [all, setAll] = useState(false);
  const told = instance.resources.find(({ id }) => id === SENSOR_UNITS)?.value?.value;
  const ownUnits = told?.type === "string" ? told.value : null;
  // A resource that only the definition names may well be missing; those that must be there come first.
  const likely = (node: ResourceNode) =>
    node.presented || node.mandatory || node.value !== null || node.observed;
  const shown = all ? instance.resources : instance.resources.filter(likely);
  const hidden = instance.resources.length - shown.length;
  return (
    <section aria-label={`${object.name} ${instance.path}`} className="border-line border-t">
      <header className="flex items-center justify-between gap-3 bg-sunken/60 py-1 pr-2 pl-4">
        <h3 className="text-muted text-xs">
          Instance <span className="font-mono text-ink">{instance.path}</span>
        </h3>
        <Button
          variant="ghost"
          size="xs"
          disabled={!reachable}
          busy={busy === "read"}
          onClick={() => void run("read", instance.path)}
          aria-label={`Read all of ${instance.path}`}
        >
          {busy === "read" ? null : <RefreshCw aria-hidden />}
          Read all
        </Button>
      </header>
      <ResultLine result={result} />
      <ul className="divide-y divide-line">
        {shown.map((node) => (
          <ResourceRow
            key={node.path}
            deviceId={deviceId}
            node={node}
            units={node.units ?? (MEASURED.has(node.id) ? ownUnits : null)}
            reachable={reachable}
          />
        ))}
      </ul>
      {hidden > 0 || all ? (
        <button
          type="button"
          onClick={() => setAll(!all)}
          className="w-full border-line border-t px-4 py-2 text-left text-accent text-xs -outline-offset-2 hover:bg-hover/60"
        >
          {all
            ? "Show only what is known to be there"
            : `Show ${plural(hidden, "more resource")} that the object may have`}
        </button>
      ) : null}
    </section>
  );
}
