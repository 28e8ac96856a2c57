"use client";
import { type ComponentProps, createContext, type ReactNode, useContext, useId } from "react";
import { cn } from "./cn";

const control =
  "w-full rounded-md border border-line-strong bg-surface px-3 text-sm text-ink transition-colors placeholder:text-faint hover:border-faint focus-visible:border-accent focus-visible:outline-1 focus-visible:outline-offset-0 aria-invalid:border-bad disabled:opacity-60";

const FieldContext = createContext<{ id: string; describedBy?: string; invalid: boolean } | null>(null);

/** A label, its control, what to know about it and what is wrong with it. */
export function Field({
  label,
  hint,
  error,
  optional,
  className,
  children,
}: {
  label: string;
  hint?: ReactNode;
  error?: string | null;
  optional?: boolean;
  className?: string;
  children: ReactNode;
}) {
  const id = useId();
  const note = error || hint ? `${id}-note` : undefined;
  return (
    <FieldContext.Provider value={{ id, describedBy: note, invalid: Boolean(error) }}>
      <div className={cn("grid gap-1.5", className)}>
        <label htmlFor={id} className="text-sm font-medium">
          {label}
          {optional ? <span className="font-normal text-muted"> (optional)</span> : null}
        </label>
        {children}
        {error ? (
          <p id={note} className="text-xs text-bad" role="alert">
            {error}
          </p>
        ) : hint ? (
          <p id={note} className="text-xs text-muted">
            {hint}
          </p>
        ) : null}
      </div>
    </FieldContext.Provider>
  );
}

function useControl() {
  const field = useContext(FieldContext);
  return field
    ? { id: field.id, "aria-describedby": field.describedBy, "aria-invalid": field.invalid || undefined }
    : {};
}

export function Input({ className, ...rest }: ComponentProps<"input">) {
  return <input {...useControl()} className={cn(control, "h-9", className)} {...rest} />;
}

export function Textarea({ className, ...rest }: ComponentProps<"textarea">) {
  return <textarea {...useControl()} className={cn(control, "min-h-20 py-2", className)} {...rest} />;
}

/** The browser's own select: it is the best one on a phone and for a keyboard. */
export function Select({ className, ...rest }: ComponentProps<"select">) {
  return <select {...useControl()} className={cn(control, "h-9 pr-8", className)} {...rest} />;
}
