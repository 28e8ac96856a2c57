"use client";
import { suspendDevice } from "@/app/actions";
import { blockCategories } from "@/server/services/suspension/categories";
import { categoryWords } from "../format";
import { FormDialog } from "../ui/dialog";
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
  async function submit(form: FormData) {
    const result = await act(
      () =>
        suspendDevice({
          id: device.id,
          category: String(form.get("category")),
          description: String(form.get("description") ?? ""),
        }),
      { stale: ["device", "devices", "events"], done: `“${title}” is suspended.`, quiet: "fields" },
    );
    return result !== null;
  }
  return (
    <FormDialog
      open={open}
      onOpenChange={onOpenChange}
      title={`Suspend “${title}”?`}
      description="Its registration and its connections end, requests that wait for it fail, and it is turned away until somebody resumes it. Nothing is deleted."
      action="Suspend"
      danger
      busy={busy}
      onSubmit={submit}
      onReset={clear}
    >
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
    </FormDialog>
  );
}
