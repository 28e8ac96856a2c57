"use client";
import { Plus } from "lucide-react";
import { useState } from "react";
import { makeAccount } from "@/app/actions";
import { InvitationLink } from "../access/invitation-link";
import { Button } from "../ui/button";
import { FormDialog } from "../ui/dialog";
import { Field, Input } from "../ui/field";
import { useAct } from "../use-act";

/** Makes an account and the link by which its first administrator comes in. */
export function CreateAccount() {
  const [open, setOpen] = useState(false);
  const [made, setMade] = useState<{ email: string; token: string } | null>(null);
  const { act, busy, fieldError, formError, clear } = useAct();

  async function submit(form: FormData) {
    const email = String(form.get("email"));
    const result = await act(
      () => makeAccount({ name: String(form.get("name")), administrator: { email } }),
      {
        stale: ["accounts"],
        quiet: true,
      },
    );
    if (result?.data.invited) setMade({ email, token: result.data.invited.token });
    return false;
  }

  return (
    <FormDialog
      open={open}
      onOpenChange={setOpen}
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
      action="Make account"
      busy={busy}
      onSubmit={submit}
      onReset={() => {
        setMade(null);
        clear();
      }}
      made={made ? <InvitationLink {...made} onDone={() => setOpen(false)} /> : null}
    >
      <Field label="Account name" error={fieldError("name") ?? formError}>
        <Input name="name" required maxLength={100} autoFocus autoComplete="off" />
      </Field>
      <Field
        label="E-mail address of its first administrator"
        hint="You get a link to hand on; they choose their password themselves."
        error={fieldError("administrator.email") ?? fieldError("email")}
      >
        <Input name="email" type="email" required autoComplete="off" />
      </Field>
    </FormDialog>
  );
}
