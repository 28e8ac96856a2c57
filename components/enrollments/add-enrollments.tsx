"use client";
import { useQueryClient } from "@tanstack/react-query";
import { FileUp, Plus } from "lucide-react";
import { createContext, type FormEvent, type ReactNode, useContext, useState } from "react";
import { toast } from "sonner";
import { claimDevice } from "@/app/actions";
import type { Failure } from "@/server/portal/errors";
import { Button } from "../ui/button";
import { Dialog, DialogActions, DialogClose, FormDialog } from "../ui/dialog";
import { Field, Input, Select, Textarea } from "../ui/field";
import { useAct } from "../use-act";

const OpenContext = createContext<(dialog: "one" | "list") => void>(() => undefined);

/** Opens one of the dialogs of the AddEnrollments around it. */
export function AddEnrollmentButtons() {
  const open = useContext(OpenContext);
  return (
    <>
      <Button size="md" onClick={() => open("list")}>
        <FileUp aria-hidden />
        Upload a list
      </Button>
      <Button variant="primary" size="md" onClick={() => open("one")}>
        <Plus aria-hidden />
        Claim a device
      </Button>
    </>
  );
}

/** Claims devices: one by its identity, or many by a list. Stands around the page, whose buttons open it. */
export function AddEnrollments({ children }: { children: ReactNode }) {
  const [dialog, setDialog] = useState<"one" | "list" | null>(null);
  const dialogOf = (which: "one" | "list") => ({
    open: dialog === which,
    onOpenChange: (open: boolean) => setDialog(open ? which : null),
  });
  return (
    <OpenContext value={setDialog}>
      {children}
      <ClaimOne {...dialogOf("one")} />
      <UploadList {...dialogOf("list")} />
    </OpenContext>
  );
}

interface Controlled {
  open: boolean;
  onOpenChange: (open: boolean) => void;
}

function ClaimOne({ open, onOpenChange }: Controlled) {
  const { act, busy, fieldError, formError, clear } = useAct();
  async function submit(form: FormData) {
    const enrollmentIdentity = String(form.get("identity")).trim();
    const result = await act(() => claimDevice({ enrollmentIdentity }), {
      stale: ["enrollments"],
      quiet: true,
      done: "The device is claimed.",
    });
    return result !== null;
  }
  return (
    <FormDialog
      open={open}
      onOpenChange={onOpenChange}
      title="Claim a device"
      description="By its enrollment identity: “A-” and the SHA-256 fingerprint of its bootstrap certificate, in pairs with colons between. It may come at any time within a year."
      action="Claim"
      busy={busy}
      onSubmit={submit}
      onReset={clear}
    >
      <Field label="Enrollment identity" error={fieldError("enrollmentIdentity") ?? formError}>
        <Textarea
          name="identity"
          required
          maxLength={200}
          rows={3}
          placeholder="A-4E:63:2D:…"
          spellCheck={false}
          autoComplete="off"
          autoFocus
          className="break-all font-mono text-xs"
        />
      </Field>
    </FormDialog>
  );
}

const MAX_BYTES = 10_000_000;

function UploadList({ open, onOpenChange }: Controlled) {
  const client = useQueryClient();
  const [busy, setBusy] = useState(false);
  const [wrong, setWrong] = useState<string | null>(null);
  async function submit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault();
    const form = new FormData(event.currentTarget);
    const file = form.get("file");
    if (!(file instanceof File)) return;
    if (file.size > MAX_BYTES) return setWrong("The list is longer than 10 MB.");
    setBusy(true);
    setWrong(null);
    const answer = await fetch(`/enrollments/lists?kind=${String(form.get("kind"))}`, {
      method: "POST",
      headers: { "Content-Type": "text/csv" },
      body: file,
    })
      .then((response) => response.json() as Promise<{ error?: Failure }>)
      .catch(() => ({ error: { message: "The portal does not answer. Try again." } }));
    setBusy(false);
    if (answer.error) return setWrong(answer.error.message.replace("enrollmentIdentities: ", "The file "));
    await client.invalidateQueries({ queryKey: ["enrollmentJobs"] });
    toast.success("The list is being gone through.");
    onOpenChange(false);
  }
  return (
    <Dialog
      open={open}
      onOpenChange={(next) => {
        setWrong(null);
        onOpenChange(next);
      }}
      title="Upload a list"
      description="A CSV file of up to 10 MB: one enrollment identity a line as its first value, with or without a header line. What else stands in a line, behind a comma, does not matter."
    >
      <form onSubmit={submit} className="grid gap-4">
        <Field label="What to do">
          <Select name="kind">
            <option value="upload">Claim these devices</option>
            <option value="delete">Give up the claims on these devices</option>
          </Select>
        </Field>
        <Field label="File" error={wrong}>
          <Input name="file" type="file" accept=".csv,text/csv,text/plain" required className="py-1.5" />
        </Field>
        <DialogActions>
          <DialogClose asChild>
            <Button size="md">Cancel</Button>
          </DialogClose>
          <Button type="submit" variant="primary" size="md" busy={busy}>
            Upload
          </Button>
        </DialogActions>
      </form>
    </Dialog>
  );
}
