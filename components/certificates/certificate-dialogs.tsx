"use client";
import { Plus } from "lucide-react";
import { createContext, type FormEvent, type ReactNode, useContext, useMemo, useState } from "react";
import { makeCertificate } from "@/app/actions";
import { Button } from "../ui/button";
import { Dialog, DialogActions, DialogClose } from "../ui/dialog";
import { Field, Input, Textarea } from "../ui/field";
import { useAct } from "../use-act";
import { type Downloadable, DownloadBundle } from "./download-bundle";

interface Dialogs {
  create(): void;
  download(certificate: Downloadable): void;
}

const DialogsContext = createContext<Dialogs>({ create: () => undefined, download: () => undefined });

/** The dialogs of the CertificateDialogs around it. */
export const useCertificateDialogs = () => useContext(DialogsContext);

export function CreateCertificateButton({ label = "New certificate" }: { label?: string }) {
  return (
    <Button variant="primary" size="md" onClick={useCertificateDialogs().create}>
      <Plus aria-hidden />
      {label}
    </Button>
  );
}

/**
 * Makes a certificate and goes straight on to its download. Stands around the page: the button that was pressed may
 * be gone as soon as there is a certificate, or as soon as its bundle was taken.
 */
export function CertificateDialogs({ children }: { children: ReactNode }) {
  const [open, setOpen] = useState(false);
  const [made, setMade] = useState<Downloadable | null>(null);
  const { act, busy, failure, fieldError, clear } = useAct();

  const dialogs = useMemo<Dialogs>(() => ({ create: () => setOpen(true), download: setMade }), []);

  async function submit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault();
    const form = new FormData(event.currentTarget);
    const result = await act(
      () =>
        makeCertificate({
          name: String(form.get("name")),
          description: String(form.get("description") ?? ""),
        }),
      { stale: ["certificates", "overview"], quiet: true },
    );
    if (!result) return;
    setOpen(false);
    setMade(result.data);
  }

  return (
    <DialogsContext value={dialogs}>
      {children}
      <Dialog
        open={open}
        onOpenChange={(next) => {
          setOpen(next);
          clear();
        }}
        title="New developer certificate"
        description="Its private key is made here, can be downloaded once, and is then erased from this server."
      >
        <form onSubmit={submit} className="grid gap-4">
          <Field
            label="Name"
            hint="What you will recognise it by, for instance the board or the desk."
            error={fieldError("name") ? `Name ${fieldError("name")?.toLowerCase()}` : null}
          >
            <Input name="name" required maxLength={100} autoFocus autoComplete="off" />
          </Field>
          <Field label="Description" optional error={fieldError("description")}>
            <Textarea name="description" maxLength={500} />
          </Field>
          {failure && failure.fields.length === 0 ? (
            <p role="alert" className="text-bad text-sm">
              {failure.message}
            </p>
          ) : null}
          <DialogActions>
            <DialogClose asChild>
              <Button size="md">Cancel</Button>
            </DialogClose>
            <Button type="submit" variant="primary" size="md" busy={busy}>
              Make certificate
            </Button>
          </DialogActions>
        </form>
      </Dialog>
      {made ? <DownloadBundle certificate={made} open onOpenChange={() => setMade(null)} /> : null}
    </DialogsContext>
  );
}
