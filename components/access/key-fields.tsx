"use client";
import { useState } from "react";
import { scopes as allScopes, type Scope } from "@/server/services/context";
import { Checkbox } from "../ui/checkbox";
import { Field, Input, Select } from "../ui/field";
import { SCOPES } from "./scopes";

/** Which of two groups a key or an application is in. */
export function RoleField({ role = "developer", error }: { role?: string; error?: string | null }) {
  return (
    <Field
      label="Group"
      error={error}
      hint="Administrators may also trust a CA, make applications and users, and read the audit log."
    >
      <Select name="role" defaultValue={role}>
        <option value="developer">Developers</option>
        <option value="administrator">Administrators</option>
      </Select>
    </Field>
  );
}

/** What a key may do; all of it unless somebody says less. */
export function ScopesField({
  selected = allScopes,
  error,
}: {
  selected?: readonly Scope[];
  error?: string | null;
}) {
  return (
    <fieldset className="grid gap-2">
      <legend className="mb-2 font-medium text-sm">What it may do</legend>
      {allScopes.map((scope) => (
        <Checkbox
          key={scope}
          name="scopes"
          value={scope}
          defaultChecked={selected.includes(scope)}
          label={SCOPES[scope].label}
          hint={`To ${SCOPES[scope].short}.`}
        />
      ))}
      {error ? (
        <p role="alert" className="text-bad text-xs">
          {error}
        </p>
      ) : null}
    </fieldset>
  );
}

const NEVER = "never";
const DATE = "date";
const DAY_MS = 86_400_000;
const SPANS = [
  ["30", "In 30 days"],
  ["90", "In 90 days"],
  ["365", "In a year"],
] as const;

/** When a key ends. */
export function ExpiryField({ error }: { error?: string | null }) {
  const [choice, setChoice] = useState<string>(NEVER);
  return (
    <div className="grid gap-2">
      <Field label="Expires" error={choice === DATE ? null : error}>
        <Select name="expires" value={choice} onChange={(event) => setChoice(event.target.value)}>
          <option value={NEVER}>Never</option>
          {SPANS.map(([days, label]) => (
            <option key={days} value={days}>
              {label}
            </option>
          ))}
          <option value={DATE}>On a day</option>
        </Select>
      </Field>
      {choice === DATE ? (
        <Field label="Last day" error={error}>
          <Input name="lastDay" type="date" required />
        </Field>
      ) : null}
    </div>
  );
}

/** What these fields say. */
export function readKeyFields(form: FormData) {
  const expires = String(form.get("expires") ?? NEVER);
  const lastDay = String(form.get("lastDay") ?? "");
  const role = form.get("role");
  return {
    name: String(form.get("name") ?? ""),
    ...((role === "administrator" || role === "developer") && {
      role: role as "administrator" | "developer",
    }),
    scopes: allScopes.filter((scope) => form.getAll("scopes").includes(scope)),
    expiresAt:
      expires === NEVER
        ? null
        : expires === DATE
          ? // The whole day, where its reader is.
            new Date(`${lastDay}T23:59:59.999`)
          : new Date(Date.now() + Number(expires) * DAY_MS),
  };
}
