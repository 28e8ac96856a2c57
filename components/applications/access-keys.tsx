"use client";
import { Ellipsis, Pencil, Plus, Power, Trash2 } from "lucide-react";
import { useState } from "react";
import { changeAccessKey, deleteAccessKey, makeAccessKey } from "@/app/actions";
import { KeyFacts, KeyTimes } from "../access/key-facts";
import { ExpiryField, readKeyFields, ScopesField } from "../access/key-fields";
import { ShownOnce } from "../access/shown-once";
import { Ago } from "../time";
import { Button } from "../ui/button";
import { Confirm, FormDialog } from "../ui/dialog";
import { Field, Input } from "../ui/field";
import { Menu, MenuItem, MenuSeparator } from "../ui/menu";
import { useAct } from "../use-act";
import { useViewer } from "../viewer";
import type { Application } from "./application-list";

type Key = Application["keys"][number];

const MAX_KEYS = 2;

/** The keys of an application, and the way to another one. */
export function AccessKeys({ application }: { application: Application }) {
  const { administrator } = useViewer();
  const { keys } = application;
  const full = keys.length >= MAX_KEYS;
  return (
    <>
      {keys.length > 0 ? (
        <ul className="divide-y divide-line">
          {keys.map((key) => (
            <Item key={key.id} item={key} />
          ))}
        </ul>
      ) : null}
      {administrator ? (
        // It stays where it is while its dialog shows the key that was just made.
        <div
          className={
            full
              ? "px-4 pb-3 text-muted text-xs"
              : "flex flex-wrap items-center gap-x-4 gap-y-2 px-4 py-3 text-muted text-sm"
          }
        >
          <CreateAccessKey application={application} hidden={full} />
          {full
            ? "Two keys at most: delete one to make another."
            : keys.length === 0
              ? "It can do nothing before it has an access key."
              : null}
        </div>
      ) : keys.length === 0 ? (
        <p className="px-4 py-3 text-muted text-sm">It has no access key.</p>
      ) : null}
    </>
  );
}

function CreateAccessKey({ application, hidden }: { application: Application; hidden: boolean }) {
  const [open, setOpen] = useState(false);
  const [made, setMade] = useState<{ name: string; key: string } | null>(null);
  const { act, busy, fieldError, formError, clear } = useAct();

  async function submit(form: FormData) {
    const { role: _, ...fields } = readKeyFields(form);
    const result = await act(() => makeAccessKey({ applicationId: application.id, ...fields }), {
      stale: ["applications"],
      quiet: "fields",
    });
    if (result) setMade(result.data);
    return false;
  }

  return (
    <>
      {hidden ? null : (
        <Button onClick={() => setOpen(true)}>
          <Plus aria-hidden />
          New access key
        </Button>
      )}
      <FormDialog
        open={open}
        onOpenChange={setOpen}
        title={made ? `Access key “${made.name}”` : `New access key of “${application.name}”`}
        action="Make access key"
        busy={busy}
        onSubmit={submit}
        onReset={() => {
          setMade(null);
          clear();
        }}
        made={
          made ? (
            <ShownOnce
              secret={made.key}
              onDone={() => {
                setOpen(false);
                setMade(null);
              }}
            />
          ) : null
        }
      >
        <Field
          label="Name"
          hint="For instance where the program runs."
          error={fieldError("name") ?? formError}
        >
          <Input name="name" required maxLength={100} autoFocus autoComplete="off" />
        </Field>
        <ExpiryField error={fieldError("expiresAt") ?? fieldError("expiration")} />
        <ScopesField error={fieldError("scopes")} />
      </FormDialog>
    </>
  );
}

function Item({ item }: { item: Key }) {
  const { administrator } = useViewer();
  const { act } = useAct();
  const [dialog, setDialog] = useState<string | null>(null);
  const { id, applicationId, name } = item;
  const active = item.status !== "INACTIVE";
  const dialogOf = (which: string) => ({
    open: dialog === which,
    onOpenChange: (open: boolean) => setDialog(open ? which : null),
  });
  const set = (status: "ACTIVE" | "INACTIVE") =>
    act(() => changeAccessKey({ id, applicationId, status }), {
      stale: ["applications"],
      done: `Access key “${name}” is switched ${status === "ACTIVE" ? "on" : "off"}.`,
    });
  return (
    <li className="grid grid-cols-[minmax(0,1fr)_auto] items-center gap-x-4 gap-y-1 px-4 py-3 md:grid-cols-[minmax(0,1fr)_11rem_2rem]">
      <KeyFacts item={item} />
      <div className="max-md:row-start-2">
        <KeyTimes item={item} />
      </div>
      {administrator ? (
        <>
          <Menu
            trigger={
              <Button variant="ghost" size="icon" aria-label={`More for the access key ${name}`}>
                <Ellipsis aria-hidden />
              </Button>
            }
          >
            <MenuItem onSelect={() => setDialog("edit")}>
              <Pencil aria-hidden />
              Edit
            </MenuItem>
            <MenuItem onSelect={() => void set(active ? "INACTIVE" : "ACTIVE")}>
              <Power aria-hidden />
              {active ? "Switch off" : "Switch on"}
            </MenuItem>
            <MenuSeparator />
            <MenuItem danger onSelect={() => setDialog("delete")}>
              <Trash2 aria-hidden />
              Delete
            </MenuItem>
          </Menu>
          <EditAccessKey item={item} {...dialogOf("edit")} />
          <Confirm
            {...dialogOf("delete")}
            title={`Delete the access key “${name}”?`}
            action="Delete key"
            onConfirm={async () =>
              (await act(() => deleteAccessKey({ id, applicationId }), {
                stale: ["applications"],
                done: `Access key “${name}” is deleted.`,
              })) !== null
            }
          >
            <p>
              Programs that use it are refused from this moment on. The channel and the subscriptions of the
              application stay.{" "}
              {item.lastUsedAt ? (
                <>
                  It was last used <Ago at={item.lastUsedAt} />.
                </>
              ) : (
                "It was never used."
              )}
            </p>
          </Confirm>
        </>
      ) : null}
    </li>
  );
}

function EditAccessKey({
  item,
  open,
  onOpenChange,
}: {
  item: Key;
  open: boolean;
  onOpenChange: (open: boolean) => void;
}) {
  const { act, busy, fieldError, clear } = useAct();
  async function submit(form: FormData) {
    const { name, scopes } = readKeyFields(form);
    const { id, applicationId } = item;
    const result = await act(() => changeAccessKey({ id, applicationId, name, scopes }), {
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
      title={`Access key “${item.name}”`}
      action="Save"
      busy={busy}
      onSubmit={submit}
      onReset={clear}
    >
      <Field label="Name" error={fieldError("name")}>
        <Input name="name" required maxLength={100} defaultValue={item.name} autoComplete="off" />
      </Field>
      <ScopesField selected={item.scopes} error={fieldError("scopes")} />
    </FormDialog>
  );
}
