"use client";
import { TriangleAlert } from "lucide-react";
import { signIn } from "next-auth/react";
import { type FormEvent, useState } from "react";
import { Button } from "../ui/button";
import { Field, Input } from "../ui/field";
import { Notice } from "../ui/panel";

export function LoginForm({ next }: { next: string }) {
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<string | null>(null);

  async function submit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault();
    const form = new FormData(event.currentTarget);
    setBusy(true);
    setError(null);
    try {
      const result = await signIn("credentials", {
        email: form.get("email"),
        password: form.get("password"),
        redirect: false,
      });
      if (result?.ok && !result.error) return location.assign(next);
      setError(result?.error ?? "The portal does not answer. Try again.");
    } catch {
      setError("The portal does not answer. Try again.");
    }
    setBusy(false);
  }

  return (
    <form method="post" onSubmit={submit} className="grid gap-5">
      <h1 className="font-semibold text-xl">Sign in</h1>
      {error ? (
        <div role="alert">
          <Notice tone="bad" icon={<TriangleAlert aria-hidden />}>
            {error}
          </Notice>
        </div>
      ) : null}
      <Field label="E-mail address">
        <Input name="email" type="email" autoComplete="username" required autoFocus />
      </Field>
      <Field label="Password">
        <Input name="password" type="password" autoComplete="current-password" required />
      </Field>
      <Button type="submit" variant="primary" size="md" busy={busy}>
        Sign in
      </Button>
    </form>
  );
}
