"use client";
import { Eye, LoaderCircle, Pencil, Play, RefreshCw } from "lucide-react";
import { type ComponentProps, type FormEvent, memo, type ReactNode, useState } from "react";
import type { KnownValue, ResourceNode } from "@/server/services/devices/resource-tree";
import { Ago } from "../time";
import { Button } from "../ui/button";
import { cn } from "../ui/cn";
import { Input, Select } from "../ui/field";
import { Tooltip } from "../ui/tooltip";
import { ResultLine, useOperation } from "./use-operation";
import { editValue, showValue } from "./value";

/** One resource: what it is, its last known value and how old that is, and what can be done with it. */
export const ResourceRow = memo(function ResourceRow({
  deviceId,
  node,
  units,
  reachable,
}: {
  deviceId: string;
  node: ResourceNode;
  units: string | null;
  reachable: boolean;
}) {
  const { run, busy, result, clear } = useOperation(deviceId);
  const [form, setForm] = useState<"write" | "execute" | null>(null);
  const can = (operation: string) => node.operations.includes(operation);
  const toggle = (kind: "write" | "execute") => {
    clear();
    setForm(form === kind ? null : kind);
  };
  const name = `${node.name} (${node.path})`;
  const isObserved = node.observed || node.automatic;
  const newest = Math.max(node.value?.at ?? 0, ...node.items.map(({ at }) => at));
  return (
    <li data-path={node.path} className="scroll-mt-16">
      <div className="grid grid-cols-[minmax(0,1fr)_auto] items-center gap-x-4 gap-y-1 py-1.5 pr-2 pl-4 md:grid-cols-[minmax(0,16rem)_minmax(0,1fr)_5.5rem_auto]">
        <div className="min-w-0">
          <p
            className={cn(
              "text-sm leading-5 [overflow-wrap:anywhere]",
              node.presented || node.value ? "" : "text-muted",
            )}
          >
            {node.name}
          </p>
          <p className="font-mono text-2xs text-muted">{node.path}</p>
        </div>
        <div className="min-w-0 max-md:col-span-2 max-md:row-start-2">
          <Values node={node} units={units} />
        </div>
        <div className="text-muted text-xs max-md:hidden">
          {newest ? <Ago at={newest} className="whitespace-nowrap" /> : null}
        </div>
        <div className="grid grid-flow-col grid-cols-[repeat(4,1.75rem)] gap-0.5 max-md:col-start-2 max-md:row-start-1">
          {can("R") ? (
            <Act
              label={`Read ${name}`}
              tip="Read"
              className="col-start-1"
              disabled={!reachable}
              busy={busy === "read"}
              onClick={() => void run("read", node.path)}
            >
              <RefreshCw aria-hidden />
            </Act>
          ) : null}
          {can("W") ? (
            <Act
              label={`Write ${name}`}
              tip="Write"
              className="col-start-2"
              disabled={!reachable}
              aria-expanded={form === "write"}
              onClick={() => toggle("write")}
            >
              <Pencil aria-hidden />
            </Act>
          ) : null}
          {can("E") ? (
            <Act
              label={`Execute ${name}`}
              tip="Execute"
              className="col-start-3"
              disabled={!reachable}
              aria-expanded={form === "execute"}
              onClick={() => toggle("execute")}
            >
              <Play aria-hidden />
            </Act>
          ) : null}
          {node.observable || isObserved ? (
            <Act
              label={
                node.automatic
                  ? `${name} is reported by the device itself`
                  : node.observed
                    ? `Stop observing ${name}`
                    : `Observe ${name}`
              }
              tip={
                node.automatic
                  ? "The device reports changes by itself; this cannot be stopped."
                  : node.observed
                    ? "Observed: changes come by themselves. Click to stop."
                    : "Observe"
              }
              disabled={!reachable}
              aria-pressed={isObserved}
              busy={busy === "observe" || busy === "unobserve"}
              onClick={() => void run(isObserved ? "unobserve" : "observe", node.path)}
              className={cn(
                "col-start-4",
                isObserved && "bg-accent-soft text-accent hover:bg-accent-soft hover:text-accent",
              )}
            >
              <Eye aria-hidden />
            </Act>
          ) : null}
        </div>
      </div>
      {form === "write" ? (
        <WriteForm
          node={node}
          busy={busy === "write"}
          onCancel={() => setForm(null)}
          onWrite={async (path, text) => {
            if (await run("write", path, text)) setForm(null);
          }}
        />
      ) : null}
      {form === "execute" ? (
        <ExecuteForm
          node={node}
          busy={busy === "execute"}
          onCancel={() => setForm(null)}
          onExecute={async (args) => {
            if (await run("execute", node.path, args)) setForm(null);
          }}
        />
      ) : null}
      <ResultLine result={result} />
    </li>
  );
});

function Act({
  label,
  tip,
  busy,
  children,
  className,
  ...rest
}: ComponentProps<typeof Button> & { label: string; tip: string; children: ReactNode }) {
  return (
    <Tooltip content={tip} side="top">
      <Button
        variant="ghost"
        size="iconXs"
        aria-label={label}
        aria-busy={busy || undefined}
        className={className}
        {...rest}
      >
        {busy ? <LoaderCircle className="animate-spin" aria-hidden /> : children}
      </Button>
    </Tooltip>
  );
}

function Values({ node, units }: { node: ResourceNode; units: string | null }) {
  if (node.items.length > 0)
    return (
      <ul className="grid gap-0.5">
        {node.items.map((item) => (
          <li key={item.path} className="flex items-baseline gap-2">
            <span className="font-mono text-2xs text-muted">/{item.id}</span>
            <Value known={item} units={units} />
          </li>
        ))}
      </ul>
    );
  if (node.value)
    return (
      <p className="flex flex-wrap items-baseline gap-x-3">
        <Value known={node.value} units={units} />
        <Ago at={node.value.at} className="text-muted text-xs md:hidden" />
      </p>
    );
  if (node.operations === "E") return null;
  return <span className="text-faint text-sm max-md:hidden">–</span>;
}

function Value({ known, units }: { known: KnownValue; units: string | null }) {
  const text = showValue(known.value, units);
  return (
    <span
      // A new value flashes: the element is made anew with it.
      key={`${text} ${known.at}`}
      data-value
      className="tabular -mx-1 animate-flash rounded px-1 text-sm [overflow-wrap:anywhere]"
    >
      {text === "" ? <span className="text-muted">empty</span> : text}
    </span>
  );
}

const HINTS: Record<string, string> = {
  integer: "A whole number.",
  unsigned: "A whole number from 0.",
  float: "A number.",
  time: "UTC.",
  opaque: "Base64, or hexadecimal after 0x.",
  objlnk: "Object and instance, for instance 3:0.",
};

function WriteForm({
  node,
  busy,
  onWrite,
  onCancel,
}: {
  node: ResourceNode;
  busy: boolean;
  onWrite: (path: string, text: string) => Promise<void>;
  onCancel: () => void;
}) {
  const first = node.items[0];
  const start = editValue((node.value ?? first)?.value);
  const type = node.type ?? "string";
  async function submit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault();
    const form = new FormData(event.currentTarget);
    const typed = String(form.get("value") ?? "");
    // The control for times gives local-looking text; it is meant as UTC here.
    const text = type === "time" && typed ? `${typed}Z` : typed;
    const item = String(form.get("item") ?? "").trim();
    await onWrite(item === "" ? node.path : `${node.path}/${item}`, text);
  }
  const label = `New value of ${node.name}`;
  const unit = node.units ? ` In ${node.units}.` : "";
  return (
    <form onSubmit={submit} className="grid animate-fade gap-1.5 bg-sunken/60 px-4 py-3">
      <div className="flex flex-wrap items-center gap-2">
        {node.multiple ? (
          <Input
            name="item"
            aria-label="Resource instance"
            placeholder="Instance"
            inputMode="numeric"
            pattern="\d{1,5}"
            required
            defaultValue={first ? String(first.id) : "0"}
            className="w-24"
          />
        ) : null}
        {type === "boolean" ? (
          <Select
            name="value"
            aria-label={label}
            defaultValue={start || "false"}
            className="max-w-40"
            autoFocus
          >
            <option value="true">true</option>
            <option value="false">false</option>
          </Select>
        ) : (
          <Input
            name="value"
            aria-label={label}
            type={type === "time" ? "datetime-local" : "text"}
            step={type === "time" ? 1 : undefined}
            inputMode={
              type === "integer" || type === "unsigned" ? "numeric" : type === "float" ? "decimal" : undefined
            }
            defaultValue={start}
            // Of these types nothing is no value.
            required={type !== "string" && type !== "corelnk" && type !== "opaque"}
            autoFocus
            autoComplete="off"
            spellCheck={false}
            className={cn("max-w-md", type !== "string" && "font-mono text-xs")}
          />
        )}
        <Button type="submit" variant="primary" size="md" busy={busy}>
          Write
        </Button>
        <Button size="md" onClick={onCancel}>
          Cancel
        </Button>
      </div>
      {HINTS[type] || unit ? (
        <p className="text-muted text-xs">{`${HINTS[type] ?? ""}${unit}`.trim()}</p>
      ) : null}
    </form>
  );
}

function ExecuteForm({
  node,
  busy,
  onExecute,
  onCancel,
}: {
  node: ResourceNode;
  busy: boolean;
  onExecute: (args: string) => Promise<void>;
  onCancel: () => void;
}) {
  async function submit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault();
    await onExecute(String(new FormData(event.currentTarget).get("args") ?? ""));
  }
  return (
    <form onSubmit={submit} className="grid animate-fade gap-1.5 bg-sunken/60 px-4 py-3">
      <div className="flex flex-wrap items-center gap-2">
        <Input
          name="args"
          aria-label={`Arguments for ${node.name}`}
          placeholder="No arguments"
          maxLength={1024}
          autoFocus
          autoComplete="off"
          spellCheck={false}
          className="max-w-md font-mono text-xs"
        />
        <Button type="submit" variant="primary" size="md" busy={busy}>
          Execute
        </Button>
        <Button size="md" onClick={onCancel}>
          Cancel
        </Button>
      </div>
      <p className="text-muted text-xs">
        Arguments are optional, for instance <code className="font-mono">0='once',1</code>. The device does it
        at once.
      </p>
    </form>
  );
}
