"use client";
import { UserPlus } from "lucide-react";
import { type FormEvent, useState } from "react";
import { makeUser } from "@/app/actions";
import { InvitationLink } from "../access/invitation-link";
import { RoleField } from "../access/key-fields";
import { Button } from "../ui/button";
import { Dialog, DialogActions, DialogClose } from "../ui/dialog";
import { Field, Input } from "../ui/field";
import { useAct } from "../use-act";
import { useViewer } from "../viewer";

/** A button with its dialog; only administrators invite people. */
export function InviteUser() {
  const { administrator } = useViewer();
  const [open, setOpen] = useState(false);
  const [made, setMade] = useState<{ email: string; token: string } | null>(null);
  const { act, busy, failure, fieldError, clear } = useAct();
  if (!administrator) return null;

  async function submit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault();
    const form = new FormData(event.currentTarget);
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
  }

  return (
    <Dialog
      open={open}
      onOpenChange={(next) => {
        setOpen(next);
        setMade(null);
        clear();
      }}
      locked={made !== null}
      trigger={
        <Button variant="primary" size="md">
          <UserPlus aria-hidden />
          Invite somebody
        </Button>
      }
      title={made ? `Invitation of ${made.email}` : "Invite somebody"}
      description={made ? undefined : "You get a link to hand on; they choose their password themselves."}
    >
      {made ? (
        <InvitationLink {...made} onDone={() => setOpen(false)} />
      ) : (
        <form onSubmit={submit} className="grid gap-4">
          <Field
            label="E-mail address"
            error={fieldError("email") ?? (failure?.fields.length === 0 ? failure.message : null)}
          >
            <Input name="email" type="email" required autoFocus autoComplete="off" />
          </Field>
          <Field label="Name" optional error={fieldError("name")}>
            <Input name="name" maxLength={100} autoComplete="off" />
          </Field>
          <RoleField error={fieldError("role")} />
          <DialogActions>
            <DialogClose asChild>
              <Button size="md">Cancel</Button>
            </DialogClose>
            <Button type="submit" variant="primary" size="md" busy={busy}>
              Make the link
            </Button>
          </DialogActions>
        </form>
      )}
    </Dialog>
  );
}
