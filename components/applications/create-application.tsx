"use client";
import { Plus } from "lucide-react";
import { useState } from "react";
import { makeApplication } from "@/app/actions";
import { RoleField } from "../access/key-fields";
import { Button } from "../ui/button";
import { FormDialog } from "../ui/dialog";
import { Field, Input, Textarea } from "../ui/field";
import { useAct } from "../use-act";
import { useViewer } from "../viewer";

/** What is typed of an application. */
export function readApplication(form: FormData) {
  return {
    name: String(form.get("name") ?? ""),
    description: String(form.get("description") ?? ""),
    role: form.get("role") === "administrator" ? ("administrator" as const) : ("developer" as const),
  };
}

export function ApplicationFields({
  application,
  fieldError,
}: {
  application?: { name: string; description: string; role: string };
  fieldError: (name: string) => string | null;
}) {
  return (
    <>
      <Field label="Name" error={fieldError("name")}>
        <Input
          name="name"
          required
          maxLength={100}
          defaultValue={application?.name}
          autoFocus={!application}
          autoComplete="off"
        />
      </Field>
      <Field label="Description" optional error={fieldError("description")}>
        <Textarea name="description" maxLength={500} defaultValue={application?.description} />
      </Field>
      <RoleField role={application?.role} error={fieldError("role")} />
    </>
  );
}

/** A button with its dialog; only administrators make applications. */
export function CreateApplication({ label = "New application" }: { label?: string }) {
  const { administrator } = useViewer();
  const [open, setOpen] = useState(false);
  const { act, busy, fieldError, clear } = useAct();
  if (!administrator) return null;

  async function submit(form: FormData) {
    const fields = readApplication(form);
    const result = await act(() => makeApplication(fields), {
      stale: ["applications"],
      quiet: "fields",
      done: `“${fields.name}” is made. It needs an access key now.`,
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
      title="New application"
      description="Its subscriptions and its notification channel are its own, whichever of its keys it uses."
      action="Make application"
      busy={busy}
      onSubmit={submit}
      onReset={clear}
    >
      <ApplicationFields fieldError={fieldError} />
    </FormDialog>
  );
}
