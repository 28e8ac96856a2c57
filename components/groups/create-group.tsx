"use client";
import { Plus } from "lucide-react";
import { type FormEvent, useState } from "react";
import { makeGroup } from "@/app/actions";
import { Button } from "../ui/button";
import { Dialog, DialogActions, DialogClose } from "../ui/dialog";
import { Field, Input, Textarea } from "../ui/field";
import { useAct } from "../use-act";

/** What is typed of a group. */
export const readGroup = (form: FormData) => ({
  name: String(form.get("name") ?? ""),
  description: String(form.get("description") ?? ""),
});

export function GroupFields({
  group,
  fieldError,
}: {
  group?: { name: string; description: string };
  fieldError: (name: string) => string | null;
}) {
  return (
    <>
      <Field label="Name" error={fieldError("name")}>
        <Input
          name="name"
          required
          maxLength={128}
          defaultValue={group?.name}
          autoFocus={!group}
          autoComplete="off"
        />
      </Field>
      <Field label="Description" optional error={fieldError("description")}>
        <Textarea name="description" maxLength={1024} defaultValue={group?.description} />
      </Field>
    </>
  );
}

export function CreateGroup({ label = "New group" }: { label?: string }) {
  const [open, setOpen] = useState(false);
  const { act, busy, fieldError, clear } = useAct();
  async function submit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault();
    const fields = readGroup(new FormData(event.currentTarget));
    const result = await act(() => makeGroup(fields), {
      stale: ["groups"],
      quiet: "fields",
      done: `“${fields.name}” is made. Devices are put into it on their own pages.`,
    });
    if (result) setOpen(false);
  }
  return (
    <Dialog
      open={open}
      onOpenChange={(next) => {
        setOpen(next);
        clear();
      }}
      trigger={
        <Button variant="primary" size="md">
          <Plus aria-hidden />
          {label}
        </Button>
      }
      title="New group"
    >
      <form onSubmit={submit} className="grid gap-4">
        <GroupFields fieldError={fieldError} />
        <DialogActions>
          <DialogClose asChild>
            <Button size="md">Cancel</Button>
          </DialogClose>
          <Button type="submit" variant="primary" size="md" busy={busy}>
            Make group
          </Button>
        </DialogActions>
      </form>
    </Dialog>
  );
}
