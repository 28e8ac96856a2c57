"use client";
import { Plus, ShieldAlert } from "lucide-react";
import { createContext, type FormEvent, type ReactNode, useContext, useState } from "react";
import { makeKey } from "@/app/actions";
import { Button } from "../ui/button";
import { CodeBlock } from "../ui/copy";
import { Dialog, DialogActions, DialogClose } from "../ui/dialog";
import { Field, Input } from "../ui/field";
import { Notice } from "../ui/panel";
import { useAct } from "../use-act";

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
  const [open, setOpen] = useState(false);
  const [made, setMade] = useState<{ name: string; key: string } | null>(null);
  const { act, busy, failure, fieldError, clear } = useAct();

  async function submit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault();
    const form = new FormData(event.currentTarget);
    const result = await act(() => makeKey({ name: String(form.get("name")) }), {
      stale: ["keys"],
      quiet: true,
    });
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
          <div className="grid gap-4">
            <CodeBlock code={made.key} label="the key" wrap />
            <Notice tone="warn" icon={<ShieldAlert aria-hidden />}>
              Copy it now: only its hash is kept here, so it cannot be shown again. Send it as{" "}
              <code className="font-mono text-xs">Authorization: Bearer …</code>
            </Notice>
            <DialogActions>
              <Button
                variant="primary"
                size="md"
                onClick={() => {
                  setOpen(false);
                  setMade(null);
                }}
              >
                I have the key
              </Button>
            </DialogActions>
          </div>
        ) : (
          <form onSubmit={submit} className="grid gap-4">
            <Field label="Name" error={fieldError("name") ?? failure?.message}>
              <Input name="name" required maxLength={100} autoFocus autoComplete="off" />
            </Field>
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
