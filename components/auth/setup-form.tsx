"use client";
import { signIn } from "next-auth/react";
import type { FormEvent } from "react";
import { makeFirstAdministrator } from "@/app/actions";
import { Button } from "../ui/button";
import { Field, Input } from "../ui/field";
import { useAct } from "../use-act";

export function SetupForm({ token }: { token: string }) {
  const { act, busy, failure, fieldError } = useAct();

  async function submit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault();
    const form = new FormData(event.currentTarget);
    const text = (name: string) => String(form.get(name) ?? "");
    const [email, password] = [text("email"), text("password")];
    const made = await act(
      () =>
        makeFirstAdministrator({
          token,
          email,
          password,
          name: text("name"),
          accountName: text("accountName"),
        }),
      { quiet: true },
    );
    if (!made) return;
    const result = await signIn("credentials", { email, password, redirect: false });
    location.assign(result?.ok ? "/" : "/login");
  }

  return (
    <form method="post" onSubmit={submit} className="grid gap-5">
      <div>
        <h1 className="font-semibold text-xl">Set up Gangway</h1>
        <p className="mt-1 text-muted text-sm">
          This makes the first account and its administrator. The link works once.
        </p>
      </div>
      {failure && failure.fields.length === 0 ? (
        <p role="alert" className="rounded-md bg-bad-soft px-3 py-2.5 text-sm">
          {failure.message}
        </p>
      ) : null}
      <Field
        label="Account name"
        hint="Your team or product; devices belong to it."
        error={fieldError("accountName")}
      >
        <Input name="accountName" required maxLength={100} autoFocus autoComplete="organization" />
      </Field>
      <Field label="Your name" error={fieldError("name")}>
        <Input name="name" required maxLength={100} autoComplete="name" />
      </Field>
      <Field label="E-mail address" hint="You sign in with it; no mail is sent." error={fieldError("email")}>
        <Input name="email" type="email" required autoComplete="username" />
      </Field>
      <Field label="Password" hint="At least 10 characters." error={fieldError("password")}>
        <Input name="password" type="password" required minLength={10} autoComplete="new-password" />
      </Field>
      <Button type="submit" variant="primary" size="md" busy={busy}>
        Make account and sign in
      </Button>
    </form>
  );
}
