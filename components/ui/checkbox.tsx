import type { ComponentProps, ReactNode } from "react";
import { cn } from "./cn";

/** A choice to tick, with what it means beside it. */
export function Checkbox({
  label,
  hint,
  className,
  ...rest
}: Omit<ComponentProps<"input">, "type"> & { label: ReactNode; hint?: ReactNode }) {
  return (
    <label className={cn("flex items-start gap-2.5 text-sm", className)}>
      <input
        type="checkbox"
        className="mt-0.5 size-4 shrink-0 rounded accent-accent disabled:opacity-60"
        {...rest}
      />
      <span className="min-w-0">
        <span className="block">{label}</span>
        {hint ? <span className="block text-muted text-xs">{hint}</span> : null}
      </span>
    </label>
  );
}
