"use client";
import { ChevronRight, ScrollText, Search } from "lucide-react";
import Link from "next/link";
import { useQueryStates } from "nuqs";
import { useState } from "react";
import type { QueryOutput } from "@/server/portal/queries";
import { LoadError } from "../load-error";
import { ShowOlder } from "../show-older";
import type { Tone } from "../states";
import { Badge } from "../status";
import { Ago, At } from "../time";
import { Button } from "../ui/button";
import { cn } from "../ui/cn";
import { Copyable } from "../ui/copy";
import { Field, Input, Select } from "../ui/field";
import { EmptyState, LoadingRows, Panel } from "../ui/panel";
import { useAudit, useData } from "../use-data";
import { changes, words } from "./diff";
import { auditParams, auditQuery } from "./search-params";
import { actorWords, nameOf, objectWords, placeOf, verb } from "./wording";

type Entry = QueryOutput<"audit">["rows"][number];

const NOTHING = { type: "", actor: "", object: "", from: "", to: "" };

export function AuditLog() {
  const [params, setParams] = useQueryStates(auditParams, { history: "replace", clearOnDefault: true });
  const query = useAudit(auditQuery(params));
  const { rows, names, error, refetch, isPlaceholderData } = query;
  const filtered = Object.values(params).some(Boolean);
  if (error && !rows) return <LoadError message={error.message} retry={() => void refetch()} />;
  return (
    <div className="grid grid-cols-1 gap-4">
      <Filters params={params} change={(part) => void setParams(part)} />
      {!rows ? (
        <LoadingRows />
      ) : rows.length === 0 ? (
        <Panel>
          {filtered ? (
            <EmptyState
              icon={<Search />}
              title="No change is like that"
              action={
                <Button size="md" onClick={() => void setParams(NOTHING)}>
                  Show all changes
                </Button>
              }
            />
          ) : (
            <EmptyState icon={<ScrollText />} title="Nothing was changed yet">
              Whatever people and programs change in this account is written down here: who, what, when, and
              how it was before.
            </EmptyState>
          )}
        </Panel>
      ) : (
        <>
          <ol
            aria-label="Changes"
            className={cn(
              "divide-y divide-line overflow-hidden rounded-lg border border-line bg-surface transition-opacity",
              isPlaceholderData && "opacity-60",
            )}
          >
            {rows.map((entry) => (
              <Row
                key={entry.id}
                entry={entry}
                names={names}
                only={(object) => void setParams({ ...NOTHING, object })}
              />
            ))}
          </ol>
          <ShowOlder query={query} />
        </>
      )}
    </div>
  );
}

type Params = typeof NOTHING;

function Filters({ params, change }: { params: Params; change: (part: Partial<Params>) => void }) {
  const { data } = useData("auditFacets", {});
  const withChosen = (all: string[] | undefined, chosen: string) =>
    chosen && !all?.includes(chosen) ? [chosen, ...(all ?? [])] : (all ?? []);
  return (
    <form
      className="grid grid-cols-2 gap-3 lg:grid-cols-[12rem_minmax(0,16rem)_10rem_10rem_auto] lg:items-end"
      onSubmit={(event) => event.preventDefault()}
    >
      <Field label="What">
        <Select value={params.type} onChange={(event) => change({ type: event.target.value })}>
          <option value="">Everything</option>
          {withChosen(data?.objectTypes, params.type).map((type) => (
            <option key={type} value={type}>
              {objectWords(type)}
            </option>
          ))}
        </Select>
      </Field>
      <Field label="Who">
        <Select value={params.actor} onChange={(event) => change({ actor: event.target.value })}>
          <option value="">Everybody</option>
          {withChosen(data?.actors, params.actor).map((actor) => (
            <option key={actor} value={actor}>
              {actorWords(actor)}
            </option>
          ))}
        </Select>
      </Field>
      <Field label="From (UTC)">
        <Input type="date" value={params.from} onChange={(event) => change({ from: event.target.value })} />
      </Field>
      <Field label="To (UTC)">
        <Input type="date" value={params.to} onChange={(event) => change({ to: event.target.value })} />
      </Field>
      {Object.values(params).some(Boolean) ? (
        <Button size="md" className="justify-self-start" onClick={() => change(NOTHING)}>
          Show all
        </Button>
      ) : null}
    </form>
  );
}

/** Fingerprints would fill the line. */
const short = (name: string) =>
  name.length > 60 && !name.includes(" ") ? `${name.slice(0, 20)}…${name.slice(-8)}` : name;

const TONES: Record<string, Tone> = { made: "ok", changed: "info", deleted: "bad" };

/** One change; it opens to what was different. */
function Row({
  entry,
  names,
  only,
}: {
  entry: Entry;
  names: Readonly<Record<string, string>>;
  only: (objectId: string) => void;
}) {
  const [open, setOpen] = useState(false);
  const name = nameOf(entry.before, entry.after) ?? names[entry.objectId];
  const what = verb(entry.action);
  const different = changes(entry.before, entry.after, names);
  const fields = [...new Set(different.map(({ field }) => field.split(": ")[0]))];
  // Of what was neither made nor deleted, one side is what it is about: the device that was put into a group.
  const values = different.map(({ was, is }) => is ?? was);
  const summary =
    entry.before && entry.after
      ? fields.join(", ")
      : what === "made" || what === "deleted"
        ? ""
        : values.join(", ");
  return (
    <li data-action={entry.action}>
      <div className="relative flex items-start gap-3 px-4 py-2.5 hover:bg-hover/60">
        <Badge tone={TONES[what] ?? "idle"} className="mt-px min-w-20 justify-center">
          {what}
        </Badge>
        <div className="min-w-0 flex-1 gap-x-4 sm:flex sm:items-baseline">
          <button
            type="button"
            aria-expanded={open}
            onClick={() => setOpen(!open)}
            className="block min-w-0 flex-1 rounded text-left text-sm [overflow-wrap:anywhere] after:absolute after:inset-0"
          >
            <span className="text-muted">{objectWords(entry.objectType)}</span>{" "}
            <span className="font-medium">{short(name ?? entry.objectId)}</span>
            {summary ? <span className="text-muted">: {summary}</span> : null}
          </button>
          <div className="flex shrink-0 flex-wrap items-baseline gap-x-3 text-xs leading-5">
            <span className="max-w-56 truncate text-muted" title={actorWords(entry.actor)}>
              {actorWords(entry.actor)}
            </span>
            <Ago at={entry.at} className="whitespace-nowrap text-muted sm:min-w-16 sm:text-right" />
          </div>
        </div>
        <ChevronRight
          className={cn("mt-1 size-3.5 shrink-0 text-muted transition-transform", open && "rotate-90")}
          aria-hidden
        />
      </div>
      {open ? <Details entry={entry} different={different} only={only} /> : null}
    </li>
  );
}

function Details({
  entry,
  different,
  only,
}: {
  entry: Entry;
  different: ReturnType<typeof changes>;
  only: (objectId: string) => void;
}) {
  const place = entry.after ? placeOf(entry.objectType, entry.objectId) : null;
  const both = entry.before !== null && entry.after !== null;
  return (
    <div className="grid grid-cols-1 gap-3 border-line border-t bg-sunken px-4 py-3 text-xs">
      {different.length > 0 ? (
        <dl className="grid gap-1.5 sm:grid-cols-[minmax(8rem,auto)_minmax(0,1fr)] sm:gap-x-5">
          {different.map(({ field, was, is }) => (
            <div key={field} className="sm:contents">
              <dt className="py-0.5 text-muted">{field}</dt>
              <dd className="flex min-w-0 flex-wrap items-baseline gap-x-2 gap-y-1 font-mono">
                {was !== null && (both || !entry.after) ? <Value text={was} tone="was" /> : null}
                {both ? <span className="text-muted">{was === null ? "not set" : ""} →</span> : null}
                {is !== null ? (
                  <Value text={is} tone={both ? "is" : "made"} />
                ) : both ? (
                  <span className="text-muted">not set</span>
                ) : null}
              </dd>
            </div>
          ))}
        </dl>
      ) : (
        <p className="text-muted">Nothing that can be shown is different.</p>
      )}
      <div className="flex flex-wrap items-center gap-x-5 gap-y-1 border-line border-t pt-2 text-muted">
        <At at={entry.at} />
        <span className="inline-flex min-w-0 items-center gap-1">
          {objectWords(entry.objectType)}{" "}
          <Copyable text={entry.objectId} label={`the ID of the ${words(entry.objectType)}`} />
        </span>
        {entry.requestId ? (
          <span className="inline-flex min-w-0 items-center gap-1">
            Request <Copyable text={entry.requestId} label="the request ID" />
          </span>
        ) : null}
        <button
          type="button"
          className="rounded text-accent hover:underline"
          onClick={() => only(entry.objectId)}
        >
          All changes of it
        </button>
        {place ? (
          <Link href={place} className="rounded text-accent hover:underline">
            Look at it
          </Link>
        ) : null}
      </div>
    </div>
  );
}

const VALUE = {
  was: "bg-bad-soft text-bad line-through decoration-1",
  is: "bg-ok-soft text-ok",
  made: "",
} as const;

function Value({ text, tone }: { text: string; tone: keyof typeof VALUE }) {
  return (
    <span
      className={cn("min-w-0 whitespace-pre-wrap rounded px-1 py-0.5 [overflow-wrap:anywhere]", VALUE[tone])}
    >
      {tone === "was" ? <span className="sr-only">was </span> : null}
      {tone === "is" ? <span className="sr-only">is </span> : null}
      {text}
    </span>
  );
}
