"use client";
import { signIn } from "next-auth/react";
import type { FormEvent } from "react";
import { followInvitation } from "@/app/actions";
import { Button } from "../ui/button";
import { Field, Input } from "../ui/field";
import { useAct } from "../use-act";

/** Somebody who was invited gives themselves a password. */
export function InvitationForm({
  token,
  email,
  name,
  accountName,
}: {
  token: string;
  email: string;
  name: string;
  accountName: string;
}) {
  const { act, busy, failure, fieldError } = useAct();

  async function submit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault();
    const form = new FormData(event.currentTarget);
    const password = String(form.get("password") ?? "");
    const followed = await act(
      () => followInvitation({ token, password, name: String(form.get("name") ?? "") }),
      { quiet: true },
    );
    if (!followed) return;
    const result = await signIn("credentials", { email, password, redirect: false });
    location.assign(result?.ok ? "/" : "/login");
  }

  return (
    <form method="post" onSubmit={submit} className="grid gap-5">
      <div>
        <h1 className="font-semibold text-xl">Join “{accountName}”</h1>
        <p className="mt-1 text-muted text-sm">
          You were invited. Choose the password that you will sign in with.
        </p>
      </div>
      {failure && failure.fields.length === 0 ? (
        <p role="alert" className="rounded-md bg-bad-soft px-3 py-2.5 text-sm">
          {failure.message}
        </p>
      ) : null}
      <Field label="E-mail address">
        <Input name="email" type="email" value={email} readOnly autoComplete="username" />
      </Field>
      <Field label="Your name" error={fieldError("name")}>
        <Input name="name" required maxLength={100} defaultValue={name} autoFocus autoComplete="name" />
      </Field>
      <Field label="Password" hint="At least 10 characters." error={fieldError("password")}>
        <Input name="password" type="password" required minLength={10} autoComplete="new-password" />
      </Field>
      <Button type="submit" variant="primary" size="md" busy={busy}>
        Join and sign in
      </Button>
    </form>
  );
}
