"use client";
import { Plus } from "lucide-react";
import { type FormEvent, useState } from "react";
import { makeCertificate } from "@/app/actions";
import { Button } from "../ui/button";
import { Dialog, DialogActions, DialogClose } from "../ui/dialog";
import { Field, Input, Textarea } from "../ui/field";
import { useAct } from "../use-act";
import { type Downloadable, DownloadBundle } from "./download-bundle";

/** Makes a certificate and goes straight on to its download. */
export function CreateCertificate({ label = "New certificate" }: { label?: string }) {
  const [open, setOpen] = useState(false);
  const [made, setMade] = useState<Downloadable | null>(null);
  const { act, busy, failure, fieldError, clear } = useAct();

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
    <>
      <Dialog
        open={open}
        onOpenChange={(next) => {
          setOpen(next);
          clear();
        }}
        trigger={
          <Button variant="primary" size="md">
            <Plus aria-hidden />
            {label}
          </Button>
        }
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
    </>
  );
}
