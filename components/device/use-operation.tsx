"use client";
import { useQueryClient } from "@tanstack/react-query";
import { CircleCheck, CircleX } from "lucide-react";
import { useState } from "react";
import { toast } from "sonner";
import { executePath, observePath, readPath, unobservePath, writePath } from "@/app/actions";
import type { OperationResult } from "@/server/bus/messages";
import type { ActionResult } from "@/server/portal/action";
import { sentence } from "../format";
import { hearValues } from "../heard";

export type Operation = "read" | "write" | "execute" | "observe" | "unobserve";

export interface Outcome {
  ok: boolean;
  text: string;
  /** CoAP code of the device's answer, where the text does not tell it. */
  code: string | null;
}

const DONE: Record<Operation, string> = {
  read: "Read",
  write: "Written",
  execute: "Executed",
  observe: "Observing: changes appear here by themselves",
  unobserve: "No longer observed",
};

/** Asks the device for something and keeps how that went, in words. */
export function useOperation(deviceId: string) {
  const client = useQueryClient();
  const [busy, setBusy] = useState<Operation | null>(null);
  const [result, setResult] = useState<Outcome | null>(null);

  async function run(operation: Operation, path: string, text = ""): Promise<boolean> {
    const on = { id: deviceId, path };
    const calls: Record<Operation, () => Promise<ActionResult<OperationResult>>> = {
      read: () => readPath(on),
      write: () => writePath({ ...on, value: text }),
      execute: () => executePath({ ...on, args: text }),
      observe: () => observePath(on),
      unobserve: () => unobservePath(on),
    };
    setBusy(operation);
    setResult(null);
    try {
      const { data, error } = await calls[operation]();
      if (error) {
        setResult({ ok: false, text: sentence(error.fields[0]?.message ?? error.message), code: null });
        return false;
      }
      if (!data.ok) setResult({ ok: false, text: sentence(data.message), code: null });
      // It went well, but not as one may expect.
      else if (data.message) toast.info(sentence(data.message));
      else setResult({ ok: true, text: DONE[operation], code: data.code });
      // The stream tells the same; this is for when it is interrupted.
      if (operation === "read") hearValues(deviceId, "read", data.values);
      if (data.ok) void client.invalidateQueries({ queryKey: ["resources", { id: deviceId }] });
      return data.ok;
    } catch {
      setResult({ ok: false, text: "The portal does not answer. Try again.", code: null });
      return false;
    } finally {
      setBusy(null);
    }
  }

  return { run, busy, result, clear: () => setResult(null) };
}

export function ResultLine({ result }: { result: Outcome | null }) {
  return (
    <div role="status" className="empty:hidden">
      {result ? (
        <p className="flex animate-fade items-start gap-1.5 px-4 py-1.5 text-xs" data-ok={result.ok}>
          {result.ok ? (
            <CircleCheck className="mt-0.5 size-3.5 shrink-0 text-ok" aria-hidden />
          ) : (
            <CircleX className="mt-0.5 size-3.5 shrink-0 text-bad" aria-hidden />
          )}
          <span>
            {result.text}
            {result.code ? <span className="font-mono text-muted"> {result.code}</span> : null}
          </span>
        </p>
      ) : null}
    </div>
  );
}
