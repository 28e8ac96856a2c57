"use client";
import { createColumnHelper, tableFeatures, useTable } from "@tanstack/react-table";
import { ArrowDown, ArrowUp, Cpu, Search, X } from "lucide-react";
import Link from "next/link";
import { useQueryStates } from "nuqs";
import { useEffect, useRef, useState } from "react";
import type { QueryOutput } from "@/server/portal/queries";
import { plural } from "../format";
import { LoadError } from "../load-error";
import { STATES } from "../states";
import { DeviceBadge, Expiry, Reachable } from "../status";
import { Ago } from "../time";
import { Button } from "../ui/button";
import { cn } from "../ui/cn";
import { EmptyState, Panel, Skeleton } from "../ui/panel";
import { Segmented } from "../ui/segmented";
import { useData } from "../use-data";
import { deviceSorts, deviceStates } from "./choices";
import { devicesParams, devicesQuery, PAGE_SIZE } from "./search-params";

type Row = QueryOutput<"devices">["rows"][number];
type Sort = (typeof deviceSorts)[number];

const features = tableFeatures({});
const column = createColumnHelper<typeof features, Row>();
/** Columns are named after what they sort by, where they do. */
const columns = column.columns([
  column.display({
    id: "endpointName",
    header: "Device",
    cell: ({ row }) => <Identity device={row.original} />,
  }),
  column.display({
    id: "state",
    header: "State",
    cell: ({ row }) => <DeviceBadge device={row.original} />,
  }),
  column.display({ id: "reach", header: "Reachable", cell: ({ row }) => <Reachable {...row.original} /> }),
  column.display({ id: "address", header: "Address", cell: ({ row }) => <Address device={row.original} /> }),
  column.display({
    id: "lastSeen",
    header: "Last seen",
    cell: ({ row }) => (row.original.lastSeenAt ? <Ago at={row.original.lastSeenAt} /> : <None />),
  }),
  column.display({
    id: "expires",
    header: "Certificate expires",
    cell: ({ row }) =>
      row.original.connectorExpirationDate ? (
        <Expiry notAfter={row.original.connectorExpirationDate} />
      ) : (
        <None />
      ),
  }),
]);

/** What is of one size has a column of that size, so that no word is cut; the name has what is left. */
const WIDTHS: Record<string, string> = {
  state: "w-34",
  reach: "w-32",
  address: "w-[20%] max-xl:hidden",
  lastSeen: "w-28",
  expires: "w-42",
};
/** Only where the screen is wide. */
const WIDE = "max-xl:hidden";

const NOBODY: Row[] = [];

export function DeviceList() {
  const [params, setParams] = useQueryStates(devicesParams, { history: "push", clearOnDefault: true });
  const { data, error, isPending, isPlaceholderData, refetch } = useData("devices", devicesQuery(params), {
    keep: true,
  });
  const groups = useData("groups", {});
  const table = useTable({ features, columns, data: data?.rows ?? NOBODY, getRowId: (row) => row.id });

  const sortBy = (sort: Sort) => {
    const first = sort === "lastSeen" ? "desc" : "asc";
    const order = params.sort === sort ? (params.order === "asc" ? "desc" : "asc") : first;
    void setParams({ sort, order, page: 1 }, { history: "replace" });
  };

  if (error && !data) return <LoadError message={error.message} retry={() => void refetch()} />;
  const everything = data ? Object.values(data.counts).reduce((sum, count) => sum + count, 0) : 0;
  const filtered = params.search !== "" || params.state !== "all" || params.group !== "";
  if (data && everything === 0 && !filtered) return <NoDevices />;

  return (
    <>
      <div className="mb-3 flex flex-wrap items-center gap-3">
        <SearchBox
          value={params.search}
          onChange={(search) => void setParams({ search, page: 1 }, { history: "replace" })}
        />
        <Segmented
          label="State"
          value={params.state}
          onChange={(state) => void setParams({ state, page: 1 })}
          options={[
            { value: "all", label: "All", count: everything },
            ...deviceStates
              .filter((state) => state !== "unenrolled" || data?.counts.unenrolled || params.state === state)
              .map((state) => ({
                value: state,
                label: STATES[state].label,
                count: data?.counts[state] ?? 0,
              })),
            { value: "suspended", label: "Suspended" },
          ]}
        />
        {groups.data?.length || params.group ? (
          <label className="flex items-center gap-2 text-muted text-sm">
            <span className="sr-only sm:not-sr-only">Group</span>
            <select
              className="h-8 max-w-48 rounded-md border border-line-strong bg-surface px-2 text-ink text-sm"
              value={params.group}
              onChange={(event) => void setParams({ group: event.target.value, page: 1 })}
            >
              <option value="">All devices</option>
              {groups.data?.map(({ id, name, devices }) => (
                <option key={id} value={id}>
                  {name} ({devices})
                </option>
              ))}
            </select>
          </label>
        ) : null}
        <label className="flex items-center gap-2 text-muted text-sm lg:hidden">
          <span className="sr-only sm:not-sr-only">Sort by</span>
          <select
            className="h-8 rounded-md border border-line-strong bg-surface px-2 text-ink text-sm"
            value={params.sort}
            onChange={(event) => sortBy(event.target.value as Sort)}
          >
            <option value="lastSeen">Last seen</option>
            <option value="endpointName">Endpoint name</option>
            <option value="name">Name</option>
            <option value="state">State</option>
            <option value="expires">Certificate expires</option>
            <option value="created">First seen</option>
          </select>
        </label>
      </div>

      <Panel
        className={cn("transition-opacity", isPlaceholderData && "opacity-60")}
        aria-busy={isPending || isPlaceholderData}
      >
        {isPending ? (
          <div className="grid gap-4 p-4">
            {["a", "b", "c", "d"].map((row) => (
              <Skeleton key={row} className="h-9" />
            ))}
          </div>
        ) : data?.rows.length === 0 ? (
          <EmptyState
            icon={<Search />}
            title="No device is like that"
            action={
              <Button
                size="md"
                onClick={() => void setParams({ search: "", state: "all", group: "", page: 1 })}
              >
                Show all devices
              </Button>
            }
          >
            {params.page > 1 && (data?.total ?? 0) > 0
              ? "This page is past the end of the list."
              : "Search looks at names, endpoint names, descriptions and the beginning of the ID."}
          </EmptyState>
        ) : (
          <>
            <table className="hidden w-full table-fixed text-sm lg:table">
              <colgroup>
                {table.getAllColumns().map(({ id }) => (
                  <col key={id} className={WIDTHS[id]} />
                ))}
              </colgroup>
              <thead className="border-line border-b text-left text-muted text-xs">
                {table.getHeaderGroups().map((group) => (
                  <tr key={group.id}>
                    {group.headers.map((header) => {
                      const sort = deviceSorts.find((name) => name === header.id);
                      const sorted = sort !== undefined && params.sort === sort;
                      return (
                        <th
                          key={header.id}
                          scope="col"
                          className={cn(
                            "h-9 whitespace-nowrap px-4 font-medium",
                            header.id === "address" && WIDE,
                          )}
                          aria-sort={
                            sorted ? (params.order === "asc" ? "ascending" : "descending") : undefined
                          }
                        >
                          {sort ? (
                            <button
                              type="button"
                              onClick={() => sortBy(sort)}
                              className="-mx-1 inline-flex items-center gap-1 rounded px-1 hover:text-ink"
                            >
                              <table.FlexRender header={header} />
                              {sorted ? (
                                params.order === "asc" ? (
                                  <ArrowUp className="size-3" aria-hidden />
                                ) : (
                                  <ArrowDown className="size-3" aria-hidden />
                                )
                              ) : (
                                <span className="size-3" aria-hidden />
                              )}
                            </button>
                          ) : (
                            <table.FlexRender header={header} />
                          )}
                        </th>
                      );
                    })}
                  </tr>
                ))}
              </thead>
              <tbody className="divide-y divide-line">
                {table.getRowModel().rows.map((row) => (
                  <tr key={row.id} className="relative h-14 hover:bg-hover/60">
                    {row.getAllCells().map((cell) => (
                      <td
                        key={cell.id}
                        className={cn("truncate px-4 py-2", cell.column.id === "address" && WIDE)}
                      >
                        <table.FlexRender cell={cell} />
                      </td>
                    ))}
                  </tr>
                ))}
              </tbody>
            </table>
            <ul className="divide-y divide-line lg:hidden">
              {data?.rows.map((device) => (
                <Card key={device.id} device={device} />
              ))}
            </ul>
          </>
        )}
      </Panel>
      {data && data.total > 0 ? (
        <Pages
          total={data.total}
          page={params.page}
          shown={data.rows.length}
          go={(page) => void setParams({ page })}
        />
      ) : null}
    </>
  );
}

const None = () => <span className="text-faint">–</span>;

function Identity({ device }: { device: Row }) {
  return (
    <div className="min-w-0">
      <Link
        href={`/devices/${device.id}`}
        className="block truncate rounded font-medium after:absolute after:inset-0"
        title={device.name || device.endpointName}
      >
        {device.name || device.endpointName}
      </Link>
      <p className="truncate font-mono text-muted text-xs">{device.name ? device.endpointName : device.id}</p>
    </div>
  );
}

function Address({ device }: { device: Row }) {
  if (!device.address) return <None />;
  return (
    <div className="min-w-0">
      <p className="truncate font-mono text-xs" title={device.address}>
        {device.address}
      </p>
      <p className="text-muted text-xs">{device.transport?.toUpperCase()}</p>
    </div>
  );
}

/** A device on a narrow screen. */
function Card({ device }: { device: Row }) {
  return (
    <li className="relative grid grid-cols-1 gap-2.5 px-4 py-3.5 hover:bg-hover/60">
      <div className="flex items-start justify-between gap-3">
        <Identity device={device} />
        <DeviceBadge device={device} />
      </div>
      <div className="flex flex-wrap items-center gap-x-4 gap-y-1 text-muted text-xs">
        <Reachable {...device} />
        {device.lastSeenAt ? (
          <span>
            Seen <Ago at={device.lastSeenAt} />
          </span>
        ) : null}
        {device.address ? (
          <span>
            {device.transport?.toUpperCase()} <span className="font-mono">{device.address}</span>
          </span>
        ) : null}
        {device.connectorExpirationDate ? (
          <span>
            Certificate <Expiry notAfter={device.connectorExpirationDate} />
          </span>
        ) : null}
      </div>
    </li>
  );
}

const TYPING_MS = 200;

function SearchBox({ value, onChange }: { value: string; onChange: (value: string) => void }) {
  const [text, setText] = useState(value);
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  // The address may change without typing: back, forward, or "show all".
  useEffect(() => setText(value), [value]);
  useEffect(() => () => clearTimeout(timer.current), []);
  const type = (next: string) => {
    setText(next);
    clearTimeout(timer.current);
    timer.current = setTimeout(() => onChange(next), TYPING_MS);
  };
  return (
    <div className="relative w-full sm:w-72">
      <Search className="pointer-events-none absolute top-2.5 left-2.5 size-4 text-muted" aria-hidden />
      <input
        type="search"
        aria-label="Search devices"
        placeholder="Name, endpoint or ID"
        value={text}
        onChange={(event) => type(event.target.value)}
        className="h-9 w-full rounded-md border border-line-strong bg-surface pr-8 pl-8 text-sm placeholder:text-faint focus-visible:border-accent focus-visible:outline-1 focus-visible:outline-offset-0 [&::-webkit-search-cancel-button]:hidden"
      />
      {text ? (
        <Button
          variant="ghost"
          size="iconXs"
          className="absolute top-1 right-1"
          aria-label="Clear the search"
          onClick={() => {
            setText("");
            onChange("");
          }}
        >
          <X aria-hidden />
        </Button>
      ) : null}
    </div>
  );
}

function Pages({
  total,
  page,
  shown,
  go,
}: {
  total: number;
  page: number;
  shown: number;
  go: (page: number) => void;
}) {
  const last = Math.max(1, Math.ceil(total / PAGE_SIZE));
  const from = (page - 1) * PAGE_SIZE + 1;
  return (
    <nav aria-label="Pages" className="mt-3 flex items-center justify-between gap-4 text-muted text-sm">
      <p className="tabular" aria-live="polite">
        {shown > 0 && last > 1 ? `${from}–${from + shown - 1} of ` : ""}
        {plural(total, "device")}
      </p>
      {last > 1 ? (
        <div className="flex items-center gap-2">
          <Button disabled={page <= 1} onClick={() => go(page - 1)}>
            Previous
          </Button>
          <span className="tabular">
            {page} / {last}
          </span>
          <Button disabled={page >= last} onClick={() => go(page + 1)}>
            Next
          </Button>
        </div>
      ) : null}
    </nav>
  );
}

function NoDevices() {
  return (
    <Panel>
      <EmptyState
        icon={<Cpu />}
        title="No device has come in yet"
        action={
          <Button asChild variant="primary" size="md">
            <Link href="/">Bring in the first device</Link>
          </Button>
        }
      >
        A device appears here by itself, at its first contact with the bootstrap server. It needs a developer
        certificate of yours for that.
      </EmptyState>
    </Panel>
  );
}
