"use client";
import { AppWindow, Ellipsis, Pencil, Power, Radio, Trash2 } from "lucide-react";
import Link from "next/link";
import { useState } from "react";
import { changeApplication, deleteApplication } from "@/app/actions";
import type { QueryOutput } from "@/server/portal/queries";
import { plural } from "../format";
import { LoadError } from "../load-error";
import { KINDS } from "../notifications/kinds";
import { Badge } from "../status";
import { Ago } from "../time";
import { Button } from "../ui/button";
import { Copyable } from "../ui/copy";
import { Confirm, FormDialog } from "../ui/dialog";
import { Menu, MenuItem, MenuSeparator } from "../ui/menu";
import { EmptyState, LoadingRows, Panel } from "../ui/panel";
import { useAct } from "../use-act";
import { useData } from "../use-data";
import { useViewer } from "../viewer";
import { AccessKeys } from "./access-keys";
import { ApplicationFields, CreateApplication, readApplication } from "./create-application";

export type Application = QueryOutput<"applications">[number];

export function ApplicationList() {
  const { administrator } = useViewer();
  const { data, error, refetch } = useData("applications", {});
  if (error && !data) return <LoadError message={error.message} retry={() => void refetch()} />;
  if (!data) return <LoadingRows />;
  if (data.length === 0)
    return (
      <Panel>
        <EmptyState
          icon={<AppWindow />}
          title="No application yet"
          action={<CreateApplication label="Make the first application" />}
        >
          An application is a program that works with your devices: it asks them, and is told when something
          happens. It has up to two access keys, so that one can take the place of the other without a gap.
          {administrator ? null : " An administrator of the account can make one."}
        </EmptyState>
      </Panel>
    );
  return (
    <div className="grid grid-cols-1 gap-4">
      {data.map((application) => (
        <Item key={application.id} application={application} />
      ))}
    </div>
  );
}

function Item({ application }: { application: Application }) {
  const { administrator } = useViewer();
  const active = application.status === "ACTIVE";
  const { channel } = application;
  return (
    <Panel
      aria-label={application.name}
      title={
        <span className="flex flex-wrap items-center gap-2">
          {application.name}
          {active ? null : <Badge tone="warn">Switched off</Badge>}
          {application.role === "administrator" ? <Badge tone="info">Administrators</Badge> : null}
        </span>
      }
      description={application.description || undefined}
      beside
      actions={administrator ? <Actions application={application} /> : undefined}
    >
      <AccessKeys application={application} />
      <div className="flex flex-wrap items-center gap-x-5 gap-y-1 border-line border-t bg-sunken/60 px-4 py-2 text-muted text-xs">
        <span className="inline-flex min-w-0 items-center gap-1">
          ID <Copyable text={application.id} label={`the ID of ${application.name}`} />
        </span>
        <span>
          Made <Ago at={application.createdAt} />
        </span>
        {channel ? (
          <Link
            href={`/notifications#${application.id}`}
            className="inline-flex items-center gap-1.5 rounded text-accent hover:underline"
          >
            <Radio className="size-3.5" aria-hidden />
            {KINDS[channel.kind].label}
            {channel.queue.items > 0 ? `, ${plural(channel.queue.items, "notification")} waiting` : null}
          </Link>
        ) : (
          <span>No notification channel</span>
        )}
      </div>
    </Panel>
  );
}

function Actions({ application }: { application: Application }) {
  const { act } = useAct();
  const [dialog, setDialog] = useState<string | null>(null);
  const { id, name } = application;
  const active = application.status === "ACTIVE";
  const dialogOf = (which: string) => ({
    open: dialog === which,
    onOpenChange: (open: boolean) => setDialog(open ? which : null),
  });
  const stale = ["applications", "channels"] as const;
  return (
    <>
      <Menu
        trigger={
          <Button variant="ghost" size="icon" aria-label={`More for ${name}`}>
            <Ellipsis aria-hidden />
          </Button>
        }
      >
        <MenuItem onSelect={() => setDialog("edit")}>
          <Pencil aria-hidden />
          Edit
        </MenuItem>
        <MenuItem
          onSelect={() =>
            active
              ? setDialog("off")
              : void act(() => changeApplication({ id, status: "ACTIVE" }), {
                  stale: [...stale],
                  done: `“${name}” is switched on.`,
                })
          }
        >
          <Power aria-hidden />
          {active ? "Switch off" : "Switch on"}
        </MenuItem>
        <MenuSeparator />
        <MenuItem danger onSelect={() => setDialog("delete")}>
          <Trash2 aria-hidden />
          Delete
        </MenuItem>
      </Menu>
      <Edit application={application} {...dialogOf("edit")} />
      <Confirm
        {...dialogOf("off")}
        title={`Switch “${name}” off?`}
        action="Switch off"
        onConfirm={async () =>
          (await act(() => changeApplication({ id, status: "INACTIVE" }), {
            stale: [...stale],
            done: `“${name}” is switched off.`,
          })) !== null
        }
      >
        <p>
          Its keys are refused until it is switched on again. Its notification channel, what waits in it, its
          subscriptions and its requests to devices are <strong>deleted</strong>.
        </p>
      </Confirm>
      <Confirm
        {...dialogOf("delete")}
        title={`Delete the application “${name}”?`}
        action="Delete application"
        onConfirm={async () =>
          (await act(() => deleteApplication({ id }), {
            stale: [...stale],
            done: `“${name}” is deleted.`,
          })) !== null
        }
      >
        <p>
          Its {plural(application.keys.length, "access key")}, its notification channel, its subscriptions and
          its requests to devices are deleted with it.{" "}
          {application.lastUsedAt ? (
            <>
              One of its keys was used <Ago at={application.lastUsedAt} />.
            </>
          ) : (
            "None of its keys was ever used."
          )}
        </p>
      </Confirm>
    </>
  );
}

function Edit({
  application,
  open,
  onOpenChange,
}: {
  application: Application;
  open: boolean;
  onOpenChange: (open: boolean) => void;
}) {
  const { act, busy, fieldError, clear } = useAct();
  async function submit(form: FormData) {
    const fields = readApplication(form);
    const result = await act(() => changeApplication({ id: application.id, ...fields }), {
      stale: ["applications"],
      done: "Saved.",
      quiet: "fields",
    });
    return result !== null;
  }
  return (
    <FormDialog
      open={open}
      onOpenChange={onOpenChange}
      title={`Application “${application.name}”`}
      action="Save"
      busy={busy}
      onSubmit={submit}
      onReset={clear}
    >
      <ApplicationFields application={application} fieldError={fieldError} />
    </FormDialog>
  );
}
