"use client";
import type { FormEvent } from "react";
import { suspendDevice } from "@/app/actions";
import { blockCategories } from "@/server/services/suspension/categories";
import { categoryWords } from "../format";
import { Button } from "../ui/button";
import { Dialog, DialogActions, DialogClose } from "../ui/dialog";
import { Field, Select, Textarea } from "../ui/field";
import { useAct } from "../use-act";
import type { Device } from "./device-page";

/** Asks why a device is to be turned away. */
export function Suspend({
  device,
  title,
  open,
  onOpenChange,
}: {
  device: Device;
  title: string;
  open: boolean;
  onOpenChange: (open: boolean) => void;
}) {
  const { act, busy, fieldError, clear } = useAct();
  async function submit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault();
    const form = new FormData(event.currentTarget);
    const result = await act(
      () =>
        suspendDevice({
          id: device.id,
          category: String(form.get("category")),
          description: String(form.get("description") ?? ""),
        }),
      { stale: ["device", "devices", "events"], done: `“${title}” is suspended.`, quiet: "fields" },
    );
    if (result) onOpenChange(false);
  }
  return (
    <Dialog
      open={open}
      onOpenChange={(next) => {
        clear();
        onOpenChange(next);
      }}
      title={`Suspend “${title}”?`}
      description="Its registration and its connections end, requests that wait for it fail, and it is turned away until somebody resumes it. Nothing is deleted."
    >
      <form onSubmit={submit} className="grid gap-4">
        <Field label="Why" error={fieldError("category")}>
          <Select name="category" autoFocus>
            {blockCategories.map(({ reference, description }) => (
              <option key={reference} value={reference} title={description}>
                {categoryWords(reference)}
              </option>
            ))}
          </Select>
        </Field>
        <Field label="What happened" optional error={fieldError("description")}>
          <Textarea name="description" maxLength={2000} />
        </Field>
        <DialogActions>
          <DialogClose asChild>
            <Button size="md">Cancel</Button>
          </DialogClose>
          <Button type="submit" variant="danger" size="md" busy={busy}>
            Suspend
          </Button>
        </DialogActions>
      </form>
    </Dialog>
  );
}
