"use client";
import { Plus } from "lucide-react";
import { useState } from "react";
import { makeGroup } from "@/app/actions";
import { Button } from "../ui/button";
import { FormDialog } from "../ui/dialog";
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
  async function submit(form: FormData) {
    const fields = readGroup(form);
    const result = await act(() => makeGroup(fields), {
      stale: ["groups"],
      quiet: "fields",
      done: `“${fields.name}” is made. Devices are put into it on their own pages.`,
    });
    return result !== null;
  }
  return (
    <FormDialog
      open={open}
      onOpenChange={setOpen}
      trigger={
        <Button variant="primary" size="md">
          <Plus aria-hidden />
          {label}
        </Button>
      }
      title="New group"
      action="Make group"
      busy={busy}
      onSubmit={submit}
      onReset={clear}
    >
      <GroupFields fieldError={fieldError} />
    </FormDialog>
  );
}
