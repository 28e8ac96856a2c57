"use client";
import { Boxes, Ellipsis, Pencil, Trash2 } from "lucide-react";
import Link from "next/link";
import { useState } from "react";
import { changeGroup, deleteGroup } from "@/app/actions";
import type { QueryOutput } from "@/server/portal/queries";
import { plural } from "../format";
import { LoadError } from "../load-error";
import { Ago } from "../time";
import { Button } from "../ui/button";
import { Confirm, FormDialog } from "../ui/dialog";
import { Menu, MenuItem } from "../ui/menu";
import { EmptyState, LoadingRows, Panel } from "../ui/panel";
import { useAct } from "../use-act";
import { useData } from "../use-data";
import { CreateGroup, GroupFields, readGroup } from "./create-group";

type Group = QueryOutput<"groups">[number];

export function GroupList() {
  const { data, error, refetch } = useData("groups", {});
  if (error && !data) return <LoadError message={error.message} retry={() => void refetch()} />;
  if (!data) return <LoadingRows />;
  if (data.length === 0)
    return (
      <Panel>
        <EmptyState
          icon={<Boxes />}
          title="No group yet"
          action={<CreateGroup label="Make the first group" />}
        >
          A group is some devices under one name: a site, a customer, a batch. A device may be in several.
        </EmptyState>
      </Panel>
    );
  return (
    <Panel>
      <ul className="divide-y divide-line">
        {data.map((group) => (
          <Item key={group.id} group={group} />
        ))}
      </ul>
    </Panel>
  );
}

function Item({ group }: { group: Group }) {
  const { act } = useAct();
  const [dialog, setDialog] = useState<string | null>(null);
  const dialogOf = (which: string) => ({
    open: dialog === which,
    onOpenChange: (open: boolean) => setDialog(open ? which : null),
  });
  return (
    <li className="grid grid-cols-[minmax(0,1fr)_auto] items-center gap-x-4 gap-y-1 px-4 py-3 md:grid-cols-[minmax(0,1fr)_8rem_8rem_2rem]">
      <div className="min-w-0">
        <Link href={`/devices?group=${group.id}`} className="break-words rounded font-medium hover:underline">
          {group.name}
        </Link>
        {group.description ? <p className="break-words text-muted text-xs">{group.description}</p> : null}
      </div>
      <p className="tabular text-sm max-md:row-start-2">{plural(group.devices, "device")}</p>
      <p className="text-muted text-xs max-md:hidden">
        Made <Ago at={group.createdAt} />
      </p>
      <Menu
        trigger={
          <Button variant="ghost" size="icon" aria-label={`More for ${group.name}`}>
            <Ellipsis aria-hidden />
          </Button>
        }
      >
        <MenuItem onSelect={() => setDialog("edit")}>
          <Pencil aria-hidden />
          Edit
        </MenuItem>
        <MenuItem danger onSelect={() => setDialog("delete")}>
          <Trash2 aria-hidden />
          Delete
        </MenuItem>
      </Menu>
      <Edit group={group} {...dialogOf("edit")} />
      <Confirm
        {...dialogOf("delete")}
        title={`Delete the group “${group.name}”?`}
        action="Delete group"
        onConfirm={async () =>
          (await act(() => deleteGroup({ id: group.id }), {
            stale: ["groups", "devices", "device"],
            done: `“${group.name}” is deleted.`,
          })) !== null
        }
      >
        <p>
          {group.devices === 0
            ? "No device is in it."
            : `The ${plural(group.devices, "device")} in it stay where they are.`}
        </p>
      </Confirm>
    </li>
  );
}

function Edit({
  group,
  open,
  onOpenChange,
}: {
  group: Group;
  open: boolean;
  onOpenChange: (open: boolean) => void;
}) {
  const { act, busy, fieldError, clear } = useAct();
  async function submit(form: FormData) {
    const fields = readGroup(form);
    const result = await act(() => changeGroup({ id: group.id, ...fields }), {
      stale: ["groups", "device"],
      done: "Saved.",
      quiet: "fields",
    });
    return result !== null;
  }
  return (
    <FormDialog
      open={open}
      onOpenChange={onOpenChange}
      title={`Group “${group.name}”`}
      action="Save"
      busy={busy}
      onSubmit={submit}
      onReset={clear}
    >
      <GroupFields group={group} fieldError={fieldError} />
    </FormDialog>
  );
}
