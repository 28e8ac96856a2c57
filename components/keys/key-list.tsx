"use client";
import { Ellipsis, KeyRound, Pencil, Power, RotateCcwKey, Trash2 } from "lucide-react";
import { useState } from "react";
import { changeKey, deleteKey, renewKeySecret } from "@/app/actions";
import type { QueryOutput } from "@/server/portal/queries";
import { KeyFacts, KeyTimes } from "../access/key-facts";
import { RoleField, readKeyFields, ScopesField } from "../access/key-fields";
import { ShownOnce } from "../access/shown-once";
import { LoadError } from "../load-error";
import { Ago } from "../time";
import { Button } from "../ui/button";
import { Confirm, Dialog, FormDialog } from "../ui/dialog";
import { Field, Input } from "../ui/field";
import { Menu, MenuItem, MenuSeparator } from "../ui/menu";
import { EmptyState, LoadingRows, Panel } from "../ui/panel";
import { useAct } from "../use-act";
import { useData } from "../use-data";
import { useViewer } from "../viewer";
import { CreateKeyButton } from "./create-key";

type Key = QueryOutput<"keys">[number];

export function KeyList() {
  const { data, error, refetch } = useData("keys", {});
  if (error && !data) return <LoadError message={error.message} retry={() => void refetch()} />;
  if (!data) return <LoadingRows />;
  if (data.length === 0)
    return (
      <Panel>
        <EmptyState
          icon={<KeyRound />}
          title="No API key yet"
          action={<CreateKeyButton label="Make the first key" />}
        >
          People sign in with their password; programs use keys.
        </EmptyState>
      </Panel>
    );
  return (
    <Panel>
      <ul className="divide-y divide-line">
        {data.map((key) => (
          <Item key={key.id} item={key} />
        ))}
      </ul>
    </Panel>
  );
}

function Item({ item }: { item: Key }) {
  const { administrator } = useViewer();
  const { act } = useAct();
  const [dialog, setDialog] = useState<string | null>(null);
  const [secret, setSecret] = useState<string | null>(null);
  const dialogOf = (name: string) => ({
    open: dialog === name,
    onOpenChange: (open: boolean) => setDialog(open ? name : null),
  });
  const unavailable =
    item.role === "administrator" && !administrator
      ? "Only an administrator may change keys of administrators."
      : null;
  const active = item.status !== "INACTIVE";
  return (
    <li className="grid grid-cols-[minmax(0,1fr)_auto] items-center gap-x-4 gap-y-1 px-4 py-3 md:grid-cols-[minmax(0,1fr)_11rem_auto]">
      <KeyFacts item={item} />
      <div className="max-md:row-start-2">
        <KeyTimes item={item} />
      </div>
      <Menu
        trigger={
          <Button variant="ghost" size="icon" aria-label={`More for the key ${item.name}`}>
            <Ellipsis aria-hidden />
          </Button>
        }
      >
        <MenuItem unavailable={unavailable} onSelect={() => setDialog("edit")}>
          <Pencil aria-hidden />
          Edit
        </MenuItem>
        <MenuItem unavailable={unavailable} onSelect={() => setDialog("secret")}>
          <RotateCcwKey aria-hidden />
          Replace the secret
        </MenuItem>
        <MenuItem
          unavailable={unavailable}
          onSelect={() =>
            active
              ? setDialog("off")
              : void act(() => changeKey({ id: item.id, status: "ACTIVE" }), {
                  stale: ["keys"],
                  done: `Key “${item.name}” is switched on.`,
                })
          }
        >
          <Power aria-hidden />
          {active ? "Switch off" : "Switch on"}
        </MenuItem>
        <MenuSeparator />
        <MenuItem unavailable={unavailable} danger onSelect={() => setDialog("delete")}>
          <Trash2 aria-hidden />
          Delete
        </MenuItem>
      </Menu>

      <EditKey item={item} {...dialogOf("edit")} />
      <Confirm
        {...dialogOf("secret")}
        title={`Replace the secret of “${item.name}”?`}
        action="Replace it"
        onConfirm={async () => {
          const result = await act(() => renewKeySecret({ id: item.id }), { stale: ["keys"] });
          if (result) setSecret(result.data.key);
          return result !== null;
        }}
      >
        <p>
          The key gets another secret, which is shown once. Programs that use the former one are refused from
          that moment on. Its channel and its subscriptions stay.
        </p>
      </Confirm>
      <Dialog open={secret !== null} onOpenChange={() => setSecret(null)} locked title={`Key “${item.name}”`}>
        <ShownOnce secret={secret ?? ""} onDone={() => setSecret(null)} />
      </Dialog>
      <Confirm
        {...dialogOf("off")}
        title={`Switch “${item.name}” off?`}
        action="Switch off"
        onConfirm={async () =>
          (await act(() => changeKey({ id: item.id, status: "INACTIVE" }), {
            stale: ["keys"],
            done: `Key “${item.name}” is switched off.`,
          })) !== null
        }
      >
        <p>
          Programs that use it are refused until it is switched on again. Its notification channel, what waits
          in it, and its subscriptions are <strong>deleted</strong>.
        </p>
      </Confirm>
      <Confirm
        {...dialogOf("delete")}
        title={`Delete the key “${item.name}”?`}
        action="Delete key"
        onConfirm={async () =>
          (await act(() => deleteKey({ id: item.id }), {
            stale: ["keys"],
            done: `Key “${item.name}” is deleted.`,
          })) !== null
        }
      >
        <p>
          Programs that use it are refused from this moment on; its notification channel and its subscriptions
          are deleted.{" "}
          {item.lastUsedAt ? (
            <>
              It was last used <Ago at={item.lastUsedAt} />.
            </>
          ) : (
            "It was never used."
          )}
        </p>
      </Confirm>
    </li>
  );
}

function EditKey({
  item,
  open,
  onOpenChange,
}: {
  item: Key;
  open: boolean;
  onOpenChange: (open: boolean) => void;
}) {
  const { administrator } = useViewer();
  const { act, busy, fieldError, clear } = useAct();
  async function submit(form: FormData) {
    const { expiresAt: _, ...fields } = readKeyFields(form);
    const result = await act(() => changeKey({ id: item.id, ...fields }), {
      stale: ["keys"],
      done: "Saved.",
      quiet: "fields",
    });
    return result !== null;
  }
  return (
    <FormDialog
      open={open}
      onOpenChange={onOpenChange}
      title={`Key “${item.name}”`}
      action="Save"
      busy={busy}
      onSubmit={submit}
      onReset={clear}
    >
      <Field label="Name" error={fieldError("name")}>
        <Input name="name" required maxLength={100} defaultValue={item.name} autoComplete="off" />
      </Field>
      {administrator ? <RoleField role={item.role} error={fieldError("role")} /> : null}
      <ScopesField selected={item.scopes} error={fieldError("scopes")} />
    </FormDialog>
  );
}
