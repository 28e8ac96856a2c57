"use client";
import { Lock } from "lucide-react";
import { useRouter } from "next/navigation";
import { type FormEvent, useId, useState } from "react";
import { changeSettings } from "@/app/actions";
import type { QueryOutput } from "@/server/portal/queries";
import { LoadError } from "../load-error";
import { Button } from "../ui/button";
import { Copyable } from "../ui/copy";
import { Field, Input, Select } from "../ui/field";
import { LoadingRows, Notice, Panel } from "../ui/panel";
import { Switch } from "../ui/switch";
import { useAct } from "../use-act";
import { useData } from "../use-data";

type Values = QueryOutput<"settings">;

export function Settings() {
  const { data, error, refetch } = useData("settings", {});
  if (!data)
    return error ? <LoadError message={error.message} retry={() => void refetch()} /> : <LoadingRows />;
  return (
    <div className="grid gap-5">
      {data.mayChange ? null : (
        <Notice icon={<Lock aria-hidden />}>Only administrators of the account can change these.</Notice>
      )}
      <SettingsForm key={JSON.stringify(data)} saved={data} />
    </div>
  );
}

const DEFAULT = "default";
const OTHER = "other";
const PRESETS: readonly (readonly [number, string])[] = [
  [300, "5 minutes"],
  [900, "15 minutes"],
  [3_600, "1 hour"],
  [21_600, "6 hours"],
  [86_400, "1 day"],
  [604_800, "7 days"],
  [2_592_000, "30 days"],
];

function choiceOf(seconds: number | null): string {
  if (seconds === null) return DEFAULT;
  return PRESETS.some(([preset]) => preset === seconds) ? String(seconds) : OTHER;
}

function SettingsForm({ saved }: { saved: Values }) {
  const router = useRouter();
  const { act, busy, fieldError, clear } = useAct();
  const [name, setName] = useState(saved.name);
  const [deviceKeys, setDeviceKeys] = useState(saved.deviceKeys);
  const [choice, setChoice] = useState(choiceOf(saved.registrationLifetime));
  const [seconds, setSeconds] = useState(String(saved.registrationLifetime ?? ""));
  const switchId = useId();

  const typed = choice === OTHER ? seconds.trim() : choice;
  // What is no number is left to the service to refuse, in its words.
  const registrationLifetime = choice === DEFAULT ? null : typed === "" ? Number.NaN : Number(typed);
  const changes = {
    ...(name.trim() !== saved.name && { name }),
    ...(deviceKeys !== saved.deviceKeys && { deviceKeys }),
    ...(!Object.is(registrationLifetime, saved.registrationLifetime) && { registrationLifetime }),
  };
  const changed = Object.keys(changes).length > 0;

  async function submit(event: FormEvent) {
    event.preventDefault();
    const result = await act(() => changeSettings(changes), {
      stale: ["settings", "overview"],
      done: "Saved.",
      quiet: "fields",
    });
    // The name also stands beside every page.
    if (result && changes.name !== undefined) router.refresh();
  }

  return (
    <form onSubmit={submit} onChange={clear}>
      <fieldset disabled={!saved.mayChange} className="grid gap-5">
        <Panel title="Account">
          <div className="grid gap-4 p-4">
            <Field label="Account name" error={fieldError("name")}>
              <Input
                value={name}
                maxLength={100}
                autoComplete="off"
                onChange={(event) => setName(event.target.value)}
                className="max-w-md"
              />
            </Field>
            <div>
              <p className="text-muted text-xs">Account ID</p>
              <Copyable text={saved.id} label="the account ID" />
            </div>
          </div>
        </Panel>

        <Panel title="Devices" description="What devices of this account are told when they come in.">
          <div className="flex items-start gap-3 border-line border-b p-4">
            <Switch
              id={switchId}
              aria-describedby={`${switchId}-note`}
              checked={deviceKeys}
              onCheckedChange={(next) => {
                clear();
                setDeviceKeys(next);
              }}
              className="mt-px"
            />
            <div className="min-w-0">
              <label htmlFor={switchId} className="font-medium text-sm">
                Devices of Pelion’s kind make their own keys (EST)
              </label>
              <p id={`${switchId}-note`} className="mt-0.5 max-w-2xl text-muted text-xs">
                On: the device makes its LwM2M key itself and asks for a certificate, so the private key never
                leaves it. Off: key and certificate are made here and sent during bootstrap, for clients that
                were built without EST. It counts from the next bootstrap on; other devices always get theirs
                from here.
              </p>
            </div>
          </div>
          <div className="grid gap-4 p-4">
            <Field
              label="Registration lifetime"
              hint={
                choice === DEFAULT
                  ? "Devices of Pelion’s kind register for as long as they were built to; others are told one hour."
                  : "Devices of Pelion’s kind take it with their next registration, others with their next bootstrap."
              }
            >
              <Select value={choice} onChange={(event) => setChoice(event.target.value)} className="max-w-md">
                <option value={DEFAULT}>Default: as the device asks, or one hour</option>
                {PRESETS.map(([value, label]) => (
                  <option key={value} value={value}>
                    {label}
                  </option>
                ))}
                <option value={OTHER}>Another time</option>
              </Select>
            </Field>
            {choice === OTHER ? (
              <Field
                label="Seconds"
                hint="From 60 (one minute) to 2592000 (30 days)."
                error={fieldError("registrationLifetime")}
              >
                <Input
                  value={seconds}
                  inputMode="numeric"
                  autoComplete="off"
                  onChange={(event) => setSeconds(event.target.value)}
                  className="max-w-40 font-mono text-xs"
                />
              </Field>
            ) : null}
            <p className="max-w-2xl text-muted text-xs">
              A device has to update its registration within this time; one that does not counts as gone.
              Short times show sooner that a device is lost, long ones spare its battery and the network.
            </p>
          </div>
        </Panel>

        {saved.mayChange ? (
          <Button
            type="submit"
            variant="primary"
            size="md"
            className="justify-self-start"
            busy={busy}
            disabled={!changed}
          >
            Save
          </Button>
        ) : null}
      </fieldset>
    </form>
  );
}
