"use client";
import { UserPlus } from "lucide-react";
import { useState } from "react";
import { makeUser } from "@/app/actions";
import { InvitationLink } from "../access/invitation-link";
import { RoleField } from "../access/key-fields";
import { Button } from "../ui/button";
import { FormDialog } from "../ui/dialog";
import { Field, Input } from "../ui/field";
import { useAct } from "../use-act";
import { useViewer } from "../viewer";

/** A button with its dialog; only administrators invite people. */
export function InviteUser() {
  const { administrator } = useViewer();
  const [open, setOpen] = useState(false);
  const [made, setMade] = useState<{ email: string; token: string } | null>(null);
  const { act, busy, fieldError, formError, clear } = useAct();
  if (!administrator) return null;

  async function submit(form: FormData) {
    const name = String(form.get("name") ?? "").trim();
    const result = await act(
      () =>
        makeUser({
          email: String(form.get("email")),
          ...(name && { name }),
          role: form.get("role") === "administrator" ? "administrator" : "developer",
        }),
      { stale: ["users"], quiet: true },
    );
    if (result?.data.invited) setMade({ email: result.data.email, token: result.data.invited.token });
    return false;
  }

  return (
    <FormDialog
      open={open}
      onOpenChange={setOpen}
      trigger={
        <Button variant="primary" size="md">
          <UserPlus aria-hidden />
          Invite somebody
        </Button>
      }
      title={made ? `Invitation of ${made.email}` : "Invite somebody"}
      description={made ? undefined : "You get a link to hand on; they choose their password themselves."}
      action="Make the link"
      busy={busy}
      onSubmit={submit}
      onReset={() => {
        setMade(null);
        clear();
      }}
      made={made ? <InvitationLink {...made} onDone={() => setOpen(false)} /> : null}
    >
      <Field label="E-mail address" error={fieldError("email") ?? formError}>
        <Input name="email" type="email" required autoFocus autoComplete="off" />
      </Field>
      <Field label="Name" optional error={fieldError("name")}>
        <Input name="name" maxLength={100} autoComplete="off" />
      </Field>
      <RoleField error={fieldError("role")} />
    </FormDialog>
  );
}
