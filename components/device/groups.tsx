"use client";
import { X } from "lucide-react";
import Link from "next/link";
import { type FormEvent, useState } from "react";
import { joinGroup, leaveGroup, makeGroup } from "@/app/actions";
import { Button } from "../ui/button";
import { Field, Input, Select } from "../ui/field";
import { Panel } from "../ui/panel";
import { useAct } from "../use-act";
import { useData } from "../use-data";
import type { Device } from "./device-page";

const NEW = "new";

/** The groups that the device is in, and the way into another. */
export function Groups({ device }: { device: Device }) {
  const { act, busy, failure, fieldError, clear } = useAct();
  const { data: groups } = useData("groups", {});
  const [choice, setChoice] = useState("");
  const others = groups?.filter(({ id }) => !device.groups.some((group) => group.id === id)) ?? [];
  const chosen = choice || others[0]?.id || NEW;
  const stale = ["device", "devices", "groups"] as const;

  async function submit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault();
    const name = String(new FormData(event.currentTarget).get("name") ?? "");
    const made =
      chosen === NEW ? await act(() => makeGroup({ name }), { stale: [...stale], quiet: true }) : null;
    const id = chosen === NEW ? made?.data.id : chosen;
    if (!id) return;
    if (await act(() => joinGroup({ id, deviceId: device.id }), { stale: [...stale], quiet: true }))
      setChoice("");
  }

  return (
    <Panel title="Groups" description="Devices under one name, for finding them here and over the API.">
      <div className="grid gap-4 p-4">
        {device.groups.length === 0 ? (
          <p className="text-muted text-sm">It is in no group.</p>
        ) : (
          <ul aria-label="Groups" className="flex flex-wrap gap-2">
            {device.groups.map(({ id, name }) => (
              <li
                key={id}
                className="inline-flex h-8 max-w-full items-center rounded-md border border-line bg-sunken pl-2.5 text-sm"
              >
                <Link href={`/devices?group=${id}`} className="truncate rounded hover:underline">
                  {name}
                </Link>
                <Button
                  variant="ghost"
                  size="iconXs"
                  aria-label={`Take it out of ${name}`}
                  onClick={() =>
                    void act(() => leaveGroup({ id, deviceId: device.id }), { stale: [...stale] })
                  }
                >
                  <X aria-hidden />
                </Button>
              </li>
            ))}
          </ul>
        )}
        <form onSubmit={submit} className="flex flex-wrap items-end gap-2">
          <Field label="Put it into" className="min-w-40 flex-1">
            <Select
              value={chosen}
              onChange={(event) => {
                clear();
                setChoice(event.target.value);
              }}
            >
              {others.map(({ id, name }) => (
                <option key={id} value={id}>
                  {name}
                </option>
              ))}
              <option value={NEW}>A new group</option>
            </Select>
          </Field>
          {chosen === NEW ? (
            <Field label="Its name" className="min-w-40 flex-1">
              <Input name="name" required maxLength={128} autoComplete="off" />
            </Field>
          ) : null}
          <Button type="submit" size="md" busy={busy}>
            Put it in
          </Button>
        </form>
        {failure ? (
          <p role="alert" className="text-bad text-xs">
            {fieldError("name") ? `The name ${fieldError("name")?.toLowerCase()}.` : failure.message}
          </p>
        ) : null}
      </div>
    </Panel>
  );
}
