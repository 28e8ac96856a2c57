"use client";
import { Plus } from "lucide-react";
import { createContext, type FormEvent, type ReactNode, useContext, useState } from "react";
import { makeKey } from "@/app/actions";
import { ExpiryField, RoleField, readKeyFields, ScopesField } from "../access/key-fields";
import { ShownOnce } from "../access/shown-once";
import { Button } from "../ui/button";
import { Dialog, DialogActions, DialogClose } from "../ui/dialog";
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
  const { act, busy, failure, fieldError, clear } = useAct();

  async function submit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault();
    const fields = readKeyFields(new FormData(event.currentTarget));
    const result = await act(() => makeKey(fields), { stale: ["keys"], quiet: "fields" });
    if (result) setMade(result.data);
  }

  return (
    <OpenContext value={() => setOpen(true)}>
      {children}
      <Dialog
        open={open}
        onOpenChange={(next) => {
          setOpen(next);
          setMade(null);
          clear();
        }}
        locked={made !== null}
        title={made ? `Key “${made.name}”` : "New API key"}
        description={
          made
            ? undefined
            : "Name it after the program that will use it; one key per program can be taken back alone."
        }
      >
        {made ? (
          <ShownOnce
            secret={made.key}
            onDone={() => {
              setOpen(false);
              setMade(null);
            }}
          />
        ) : (
          <form onSubmit={submit} className="grid gap-4">
            <Field
              label="Name"
              error={fieldError("name") ?? (failure?.fields.length === 0 ? failure.message : null)}
            >
              <Input name="name" required maxLength={100} autoFocus autoComplete="off" />
            </Field>
            {administrator ? <RoleField error={fieldError("role")} /> : null}
            <ExpiryField error={fieldError("expiresAt")} />
            <ScopesField error={fieldError("scopes")} />
            <DialogActions>
              <DialogClose asChild>
                <Button size="md">Cancel</Button>
              </DialogClose>
              <Button type="submit" variant="primary" size="md" busy={busy}>
                Make key
              </Button>
            </DialogActions>
          </form>
        )}
      </Dialog>
    </OpenContext>
  );
}
