"use client";
import { Plus } from "lucide-react";
import { type FormEvent, useState } from "react";
import { makeAccount } from "@/app/actions";
import { InvitationLink } from "../access/invitation-link";
import { Button } from "../ui/button";
import { Dialog, DialogActions, DialogClose } from "../ui/dialog";
import { Field, Input } from "../ui/field";
import { useAct } from "../use-act";

/** Makes an account and the link by which its first administrator comes in. */
export function CreateAccount() {
  const [open, setOpen] = useState(false);
  const [made, setMade] = useState<{ email: string; token: string } | null>(null);
  const { act, busy, failure, fieldError, clear } = useAct();

  async function submit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault();
    const form = new FormData(event.currentTarget);
    const email = String(form.get("email"));
    const result = await act(
      () => makeAccount({ name: String(form.get("name")), administrator: { email } }),
      {
        stale: ["accounts"],
        quiet: true,
      },
    );
    if (result?.data.invited) setMade({ email, token: result.data.invited.token });
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
          <Plus aria-hidden />
          New account
        </Button>
      }
      title={made ? "The account is made" : "New account"}
      description={
        made
          ? undefined
          : "It has its own devices, certificates, keys and people, and sees nothing of other accounts."
      }
    >
      {made ? (
        <InvitationLink {...made} onDone={() => setOpen(false)} />
      ) : (
        <form onSubmit={submit} className="grid gap-4">
          <Field
            label="Account name"
            error={fieldError("name") ?? (failure?.fields.length === 0 ? failure.message : null)}
          >
            <Input name="name" required maxLength={100} autoFocus autoComplete="off" />
          </Field>
          <Field
            label="E-mail address of its first administrator"
            hint="You get a link to hand on; they choose their password themselves."
            error={fieldError("administrator.email") ?? fieldError("email")}
          >
            <Input name="email" type="email" required autoComplete="off" />
          </Field>
          <DialogActions>
            <DialogClose asChild>
              <Button size="md">Cancel</Button>
            </DialogClose>
            <Button type="submit" variant="primary" size="md" busy={busy}>
              Make account
            </Button>
          </DialogActions>
        </form>
      )}
    </Dialog>
  );
}
