"use client";
import { Plus, Trash2 } from "lucide-react";
import { type FormEvent, useState } from "react";
import { changeDevice } from "@/app/actions";
import { At } from "../time";
import { Button } from "../ui/button";
import { Copyable } from "../ui/copy";
import { Field, Input, Textarea } from "../ui/field";
import { Panel } from "../ui/panel";
import { useAct } from "../use-act";
import type { Device } from "./device-page";
import { Groups } from "./groups";

const MAX_ATTRIBUTES = 5;

export function Details({ device }: { device: Device }) {
  return (
    <div className="grid items-start gap-5 lg:grid-cols-2">
      <Naming key={`${device.name} ${device.description}`} device={device} />
      <div className="grid grid-cols-1 gap-5">
        <Attributes key={JSON.stringify(device.customAttributes)} device={device} />
        <Groups device={device} />
      </div>
      <Facts device={device} />
    </div>
  );
}

function Naming({ device }: { device: Device }) {
  const { act, busy, fieldError } = useAct();
  async function submit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault();
    const form = new FormData(event.currentTarget);
    await act(
      () =>
        changeDevice({
          id: device.id,
          name: String(form.get("name")),
          description: String(form.get("description")),
        }),
      { stale: ["device", "devices"], done: "Saved." },
    );
  }
  return (
    <Panel title="Name" description="For people; the device does not know it.">
      <form onSubmit={submit} className="grid gap-4 p-4">
        <Field label="Name" hint={`Without one, the endpoint name is shown.`} error={fieldError("name")}>
          <Input name="name" defaultValue={device.name} maxLength={128} autoComplete="off" />
        </Field>
        <Field label="Description" error={fieldError("description")}>
          <Textarea name="description" defaultValue={device.description} maxLength={2000} />
        </Field>
        <Button type="submit" size="md" className="justify-self-start" busy={busy}>
          Save
        </Button>
      </form>
    </Panel>
  );
}

interface Pair {
  key: number;
  name: string;
  value: string;
}

function Attributes({ device }: { device: Device }) {
  const { act, busy, failure, clear } = useAct();
  const [pairs, setPairs] = useState<Pair[]>(
    Object.entries(device.customAttributes).map(([name, value], key) => ({ key, name, value })),
  );
  const change = (key: number, part: Partial<Pair>) => {
    clear();
    setPairs(pairs.map((pair) => (pair.key === key ? { ...pair, ...part } : pair)));
  };
  const names = pairs.map(({ name }) => name.trim()).filter(Boolean);
  const twice = names.find((name, index) => names.indexOf(name) !== index);

  async function submit(event: FormEvent) {
    event.preventDefault();
    if (twice) return;
    const customAttributes = Object.fromEntries(
      pairs.filter(({ name }) => name.trim()).map(({ name, value }) => [name.trim(), value]),
    );
    await act(() => changeDevice({ id: device.id, customAttributes }), {
      stale: ["device", "devices"],
      done: "Saved.",
      quiet: true,
    });
  }

  return (
    <Panel
      title="Attributes"
      description={`Up to ${MAX_ATTRIBUTES} names and values of your own, for finding and sorting.`}
    >
      <form onSubmit={submit} className="grid gap-3 p-4">
        {pairs.length === 0 ? <p className="text-muted text-sm">There are none yet.</p> : null}
        {pairs.map((pair, index) => (
          <div
            key={pair.key}
            className="grid grid-cols-[minmax(0,2fr)_minmax(0,3fr)_auto] items-center gap-2"
          >
            <Input
              aria-label={`Name of attribute ${index + 1}`}
              placeholder="Name"
              value={pair.name}
              maxLength={128}
              onChange={(event) => change(pair.key, { name: event.target.value })}
            />
            <Input
              aria-label={`Value of attribute ${index + 1}`}
              placeholder="Value"
              value={pair.value}
              maxLength={128}
              onChange={(event) => change(pair.key, { value: event.target.value })}
            />
            <Button
              variant="ghost"
              size="icon"
              aria-label={`Remove attribute ${index + 1}`}
              onClick={() => setPairs(pairs.filter(({ key }) => key !== pair.key))}
            >
              <Trash2 aria-hidden />
            </Button>
          </div>
        ))}
        {twice || failure ? (
          <p role="alert" className="text-bad text-xs">
            {twice ? `“${twice}” is there twice.` : failure?.message}
          </p>
        ) : null}
        <div className="flex gap-2">
          <Button
            size="md"
            disabled={pairs.length >= MAX_ATTRIBUTES}
            onClick={() =>
              setPairs([
                ...pairs,
                { key: Math.max(-1, ...pairs.map(({ key }) => key)) + 1, name: "", value: "" },
              ])
            }
          >
            <Plus aria-hidden />
            Add
          </Button>
          <Button type="submit" size="md" busy={busy}>
            Save
          </Button>
        </div>
      </form>
    </Panel>
  );
}

const MODES: Record<number, string> = { 0: "Unknown", 1: "Developer", 5: "Production" };

function Facts({ device }: { device: Device }) {
  const times = [
    ["First contact", device.createdAt],
    ["Last bootstrap", device.bootstrappedAt],
    ["Last registration", device.registeredAt],
    ["Registration valid until", device.registration?.expiresAt ?? null],
    ["Bootstrap certificate valid until", device.bootstrapExpirationDate],
    ["LwM2M certificate valid until", device.connectorExpirationDate],
  ] as const;
  const texts = [
    ["Mode", MODES[device.executionMode] ?? String(device.executionMode)],
    ["Binding", device.registration?.binding ?? null],
    ["Account ID", device.accountId],
    ["Bootstrap certificate, SHA-256", device.bootstrapFingerprint],
    ["LwM2M certificate, SHA-256", device.deviceKey],
  ] as const;
  return (
    <Panel title="Facts" className="lg:col-span-2">
      <dl className="grid gap-px bg-line sm:grid-cols-2">
        {times.map(([name, at]) => (
          <div
            key={name}
            className="flex flex-wrap items-baseline justify-between gap-x-4 bg-surface px-4 py-2"
          >
            <dt className="text-muted text-sm">{name}</dt>
            <dd className="text-sm">{at ? <At at={at} /> : <span className="text-faint">–</span>}</dd>
          </div>
        ))}
        {texts.map(([name, text]) => (
          <div
            key={name}
            className="flex min-w-0 flex-wrap items-baseline justify-between gap-x-4 bg-surface px-4 py-2 sm:col-span-2"
          >
            <dt className="text-muted text-sm">{name}</dt>
            <dd className="min-w-0 text-sm">
              {text === null ? (
                <span className="text-faint">–</span>
              ) : /^[0-9a-f]{32,}$/.test(text) ? (
                <Copyable text={text} label={name} />
              ) : (
                text
              )}
            </dd>
          </div>
        ))}
      </dl>
    </Panel>
  );
}
