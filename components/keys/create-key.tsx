"use client";
import { Plus } from "lucide-react";
import { createContext, type ReactNode, useContext, useState } from "react";
import { makeKey } from "@/app/actions";
import { ExpiryField, RoleField, readKeyFields, ScopesField } from "../access/key-fields";
import { ShownOnce } from "../access/shown-once";
import { Button } from "../ui/button";
import { FormDialog } from "../ui/dialog";
import { Field, Input } from "../ui/field";
import { useAct } from "../use-act";
import { useViewer } from "../viewer";

const OpenContext = createContext<() => void>(() => undefined);

/** Opens the dialog of the CreateKey around it. */
export function CreateKeyButton({ label = "New API key" }: { label?: string }) {
  return (
    <Button variant="primary" size="md" onClick={useContext(OpenContext)}>
      <Plus aria-hidden />
      {label}
    </Button>
  );
}

/**
 * Makes a key and shows it, the only time that it is seen. Stands around the page: the button that was pressed may
 * be gone as soon as there is a key.
 */
export function CreateKey({ children }: { children: ReactNode }) {
  const { administrator } = useViewer();
  const [open, setOpen] = useState(false);
  const [made, setMade] = useState<{ name: string; key: string } | null>(null);
  const { act, busy, fieldError, formError, clear } = useAct();

  async function submit(form: FormData) {
    const fields = readKeyFields(form);
    const result = await act(() => makeKey(fields), { stale: ["keys"], quiet: "fields" });
    if (result) setMade(result.data);
    return false;
  }

  return (
    <OpenContext value={() => setOpen(true)}>
      {children}
      <FormDialog
        open={open}
        onOpenChange={setOpen}
        title={made ? `Key “${made.name}”` : "New API key"}
        description={
          made
            ? undefined
            : "Name it after the program that will use it; one key per program can be taken back alone."
        }
        action="Make key"
        busy={busy}
        onSubmit={submit}
        onReset={() => {
          setMade(null);
          clear();
        }}
        made={
          made ? (
            <ShownOnce
              secret={made.key}
              onDone={() => {
                setOpen(false);
                setMade(null);
              }}
            />
          ) : null
        }
      >
        <Field label="Name" error={fieldError("name") ?? formError}>
          <Input name="name" required maxLength={100} autoFocus autoComplete="off" />
        </Field>
        {administrator ? <RoleField error={fieldError("role")} /> : null}
        <ExpiryField error={fieldError("expiresAt")} />
        <ScopesField error={fieldError("scopes")} />
      </FormDialog>
    </OpenContext>
  );
}
