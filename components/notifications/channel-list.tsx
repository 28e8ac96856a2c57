"use client";
import { CircleAlert, Radio, Trash2 } from "lucide-react";
import Link from "next/link";
import { useState } from "react";
import { deleteChannel } from "@/app/actions";
import type { QueryOutput } from "@/server/portal/queries";
import { bytes, plural, span } from "../format";
import { LoadError } from "../load-error";
import type { Tone } from "../states";
import { Badge, Dot } from "../status";
import { Ago, useNow } from "../time";
import { Button } from "../ui/button";
import { CodeBlock } from "../ui/copy";
import { Confirm } from "../ui/dialog";
import { EmptyState, LoadingRows, Notice, Panel } from "../ui/panel";
import { Segmented } from "../ui/segmented";
import { useAct } from "../use-act";
import { useData } from "../use-data";
import { KINDS } from "./kinds";

type Channel = QueryOutput<"channels">[number];

/** Queues grow and shrink without a word; whoever looks at them wants to see that. */
const EVERY_MS = 4_000;

export function ChannelList({ origin }: { origin: string }) {
  const { data, error, refetch } = useData("channels", {}, { everyMs: EVERY_MS });
  if (error && !data) return <LoadError message={error.message} retry={() => void refetch()} />;
  if (!data) return <LoadingRows />;
  if (data.length === 0)
    return (
      <Panel>
        <EmptyState icon={<Radio />} title="No program listens yet">
          A program opens a channel with its key; from then on it is told what happens to the devices of the
          account. What it does not take at once waits here for 24 hours, up to 50 MB. An application, or an
          API key, has one channel.
        </EmptyState>
        <HowTo origin={origin} />
      </Panel>
    );
  return (
    <div className="grid grid-cols-1 gap-4">
      {data.map((channel) => (
        <Item key={channel.ownerId} channel={channel} />
      ))}
      <details className="text-sm">
        <summary className="cursor-pointer rounded text-accent">How a program opens a channel</summary>
        <Panel className="mt-3">
          <HowTo origin={origin} />
        </Panel>
      </details>
    </div>
  );
}

const EXAMPLES = {
  poll: {
    label: "Long polling",
    text: "The first poll opens the channel. Each one is answered as soon as there is something, or with 204 when nothing came for a while; then ask again.",
    command: (origin: string) => `curl ${origin}/v2/notification/pull \\
  -H "Authorization: Bearer $GANGWAY_KEY"`,
  },
  callback: {
    label: "Callback",
    text: "The address has to answer a PUT of {} with 200 or 204. From then on it gets everything, signed, one delivery after the other.",
    command: (origin: string) => `curl -X PUT ${origin}/v2/notification/callback \\
  -H "Authorization: Bearer $GANGWAY_KEY" \\
  -H "Content-Type: application/json" \\
  -d '{"url": "https://app.example.com/notifications"}'`,
  },
  websocket: {
    label: "WebSocket",
    text: "Open the channel, then connect with the key in the header or, in a browser, as a subprotocol.",
    command: (origin: string) => `curl -X PUT ${origin}/v2/notification/websocket \\
  -H "Authorization: Bearer $GANGWAY_KEY"

# then connect to
${origin.replace(/^http/, "ws")}/v2/notification/websocket-connect
# with the subprotocols: wss, pelion_$GANGWAY_KEY`,
  },
} as const;

/** The three ways to open a channel, as commands with the address of this instance. */
function HowTo({ origin }: { origin: string }) {
  const [way, setWay] = useState<keyof typeof EXAMPLES>("poll");
  const { text, command } = EXAMPLES[way];
  return (
    <div className="grid grid-cols-1 gap-3 border-line border-t p-4 first:border-t-0">
      <Segmented
        label="Kind of channel"
        className="justify-self-start"
        value={way}
        onChange={setWay}
        options={Object.entries(EXAMPLES).map(([value, { label }]) => ({
          value: value as keyof typeof EXAMPLES,
          label,
        }))}
      />
      <p className="max-w-2xl text-muted text-sm">{text}</p>
      <CodeBlock code={command(origin)} label="the commands" />
      <p className="text-muted text-xs">
        The key comes from{" "}
        <Link href="/applications" className="rounded text-accent underline underline-offset-2">
          an application
        </Link>{" "}
        or{" "}
        <Link href="/keys" className="rounded text-accent underline underline-offset-2">
          API keys
        </Link>
        .
      </p>
    </div>
  );
}

/** A poll that ended may just have been answered; the next one comes at once. */
const GAP_MS = 90_000;

/** Whether the application is there to take something. */
function stateOf(
  channel: Channel,
  now: number,
): { tone: Tone; label: string; shape: "full" | "half" | "ring" } {
  if (channel.kind === "CALLBACK")
    return channel.failingSince
      ? { tone: "bad", label: "Failing", shape: "full" }
      : { tone: "ok", label: "Delivering", shape: "full" };
  if (channel.kind === "WEB_SOCKET")
    return channel.connected
      ? { tone: "ok", label: "Connected", shape: "full" }
      : { tone: "warn", label: "Not connected", shape: "ring" };
  return now - Date.parse(channel.activeAt) < GAP_MS
    ? { tone: "ok", label: "Polling", shape: "full" }
    : { tone: "warn", label: "Nobody polls", shape: "ring" };
}

function Item({ channel }: { channel: Channel }) {
  const key = useNow((now) => JSON.stringify(stateOf(channel, now)));
  const { tone, label, shape } = JSON.parse(key) as ReturnType<typeof stateOf>;
  const name = channel.owner?.name ?? "Deleted";
  const { queue } = channel;
  return (
    <Panel
      id={channel.ownerId}
      aria-label={name}
      className="scroll-mt-20 target:border-accent"
      title={
        <span className="flex flex-wrap items-center gap-x-3 gap-y-1">
          <Link
            href={channel.owner?.kind === "apiKey" ? "/keys" : "/applications"}
            className="rounded hover:underline"
          >
            {name}
          </Link>
          <Badge>{KINDS[channel.kind].label}</Badge>
          <span className="inline-flex items-center gap-1.5 font-normal text-sm">
            <Dot tone={tone} shape={shape} />
            {label}
          </span>
        </span>
      }
      description={channel.url ? undefined : KINDS[channel.kind].how}
      beside
      actions={<Delete channel={channel} name={name} />}
    >
      {channel.url ? (
        <p className="border-line border-b px-4 py-2 text-xs">
          <span className="text-muted">PUT </span>
          <span className="break-all font-mono">{channel.url}</span>
        </p>
      ) : null}
      {channel.failingSince ? (
        <Notice tone="bad" icon={<CircleAlert aria-hidden />} className="m-3 mb-0">
          Every delivery has failed for <Since at={channel.failingSince} />.{" "}
          {channel.nextTryAt ? (
            <>
              The next try is due <Ago at={channel.nextTryAt} />.{" "}
            </>
          ) : null}
          After 24 hours the channel is deleted.
        </Notice>
      ) : null}
      <dl className="grid grid-cols-2 gap-x-4 gap-y-3 px-4 py-3 text-sm sm:grid-cols-4">
        <Fact name="Waiting">
          <span className="tabular">{queue.items.toLocaleString("en")}</span>{" "}
          <span className="text-muted">
            {queue.items > 0 ? (
              <>
                ({bytes(queue.bytes)}
                {queue.oldestAt ? (
                  <>
                    , oldest <Ago at={queue.oldestAt} />
                  </>
                ) : null}
                )
              </>
            ) : null}
          </span>
        </Fact>
        <Fact name="Dropped">
          <span className={channel.dropped > 0 ? "tabular font-medium text-bad" : "tabular"}>
            {channel.dropped.toLocaleString("en")}
          </span>
        </Fact>
        <Fact name="Last activity">
          <Ago at={channel.activeAt} />
        </Fact>
        <Fact name="Subscriptions">
          {channel.subscriptions + channel.presubscriptions === 0 ? (
            <span className="text-muted">none</span>
          ) : (
            [
              channel.subscriptions > 0 ? plural(channel.subscriptions, "resource") : "",
              channel.presubscriptions > 0 ? plural(channel.presubscriptions, "rule") : "",
            ]
              .filter(Boolean)
              .join(", ")
          )}
        </Fact>
      </dl>
      {channel.kind === "CALLBACK" ? <Deliveries ownerId={channel.ownerId} name={name} /> : null}
    </Panel>
  );
}

function Since({ at }: { at: string }) {
  const ms = Date.parse(at);
  return useNow((now) => span(Math.max(0, now - ms)));
}

function Fact({ name, children }: { name: string; children: React.ReactNode }) {
  return (
    <div className="min-w-0">
      <dt className="text-muted text-xs">{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}

function Delete({ channel, name }: { channel: Channel; name: string }) {
  const { act } = useAct();
  return (
    <Confirm
      trigger={
        <Button variant="ghost" size="icon" aria-label={`Delete the channel of ${name}`}>
          <Trash2 aria-hidden />
        </Button>
      }
      title={`Delete the channel of “${name}”?`}
      action="Delete channel"
      onConfirm={async () =>
        (await act(() => deleteChannel({ ownerId: channel.ownerId }), {
          stale: ["channels", "applications"],
          done: `The channel of “${name}” is deleted.`,
        })) !== null
      }
    >
      <p>
        {channel.queue.items > 0
          ? `${plural(channel.queue.items, "notification")} that it has not taken yet ${channel.queue.items === 1 ? "is" : "are"} deleted with it. `
          : null}
        It is told nothing more until it opens a channel again; its subscriptions stay.
      </p>
    </Confirm>
  );
}

/** The last deliveries of a callback, asked for when somebody wants to see them. */
function Deliveries({ ownerId, name }: { ownerId: string; name: string }) {
  const [open, setOpen] = useState(false);
  const { data, error } = useData("deliveries", { ownerId }, { enabled: open, everyMs: EVERY_MS });
  return (
    <details className="border-line border-t" onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary className="cursor-pointer px-4 py-2.5 text-accent text-sm -outline-offset-2">
        Delivery log<span className="sr-only"> of {name}</span>
      </summary>
      {error && !data ? (
        <p role="alert" className="px-4 pb-3 text-bad text-sm">
          {error.message}
        </p>
      ) : !data ? (
        <p className="px-4 pb-3 text-muted text-sm">Loading…</p>
      ) : data.length === 0 ? (
        <p className="px-4 pb-3 text-muted text-sm">Nothing was delivered yet.</p>
      ) : (
        <ol className="divide-y divide-line border-line border-t">
          {data.map((delivery) => (
            <li
              key={delivery.id}
              className="grid grid-cols-[auto_minmax(0,1fr)_auto] items-baseline gap-x-3 px-4 py-2 text-sm"
            >
              <Badge tone={delivery.error ? "bad" : "ok"}>{delivery.status ?? "No answer"}</Badge>
              <span className="min-w-0 break-words">
                {plural(delivery.items, "notification")}
                <span className="text-muted"> in {delivery.durationMs.toLocaleString("en")} ms</span>
                {delivery.error ? <span className="block text-bad text-xs">{delivery.error}</span> : null}
              </span>
              <Ago at={delivery.at} className="whitespace-nowrap text-muted text-xs" />
            </li>
          ))}
        </ol>
      )}
    </details>
  );
}
