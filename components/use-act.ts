"use client";
import { useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { toast } from "sonner";
import type { ActionResult } from "@/server/portal/action";
import type { Failure } from "@/server/portal/errors";
import type { QueryName } from "@/server/portal/queries";

const NO_ANSWER: Failure = {
  code: "unavailable",
  message: "The portal does not answer. Try again.",
  fields: [],
};

/** Runs server actions for a form: busy, the failure in words and per field, and which data to read again. */
export function useAct() {
  const client = useQueryClient();
  const [busy, setBusy] = useState(false);
  const [failure, setFailure] = useState<Failure | null>(null);

  async function act<T>(
    call: () => Promise<ActionResult<T>>,
    options: {
      stale?: QueryName[];
      done?: string;
      /** No notice of a failure: the form tells it, all of it or what is wrong with its fields. */
      quiet?: boolean | "fields";
    } = {},
  ): Promise<{ data: T } | null> {
    setBusy(true);
    setFailure(null);
    try {
      const result = await call().catch(() => ({ error: NO_ANSWER }) as const);
      if (result.error) {
        setFailure(result.error);
        const told = options.quiet === "fields" ? result.error.fields.length > 0 : options.quiet;
        if (!told) toast.error(result.error.message);
        return null;
      }
      for (const name of options.stale ?? []) void client.invalidateQueries({ queryKey: [name] });
      if (options.done) toast.success(options.done);
      return { data: result.data as T };
    } finally {
      setBusy(false);
    }
  }

  return {
    act,
    busy,
    failure,
    clear: () => setFailure(null),
    /** What is wrong that is of no field: a form says it at its first. */
    formError: failure?.fields.length === 0 ? failure.message : null,
    /** What is wrong with this field. */
    fieldError: (name: string) => {
      const message = failure?.fields.find((field) => field.name === name)?.message;
      return message ? message.charAt(0).toUpperCase() + message.slice(1) : null;
    },
  };
}
