"use client";
import { Check, Copy } from "lucide-react";
import { useEffect, useRef, useState } from "react";
import { Button } from "./button";
import { cn } from "./cn";

// The clipboard API needs a secure context, and the portal is also used over plain http on a local network.
async function copyText(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const area = document.createElement("textarea");
    area.value = text;
    area.style.position = "fixed";
    area.style.opacity = "0";
    (document.querySelector("[role=dialog],[role=alertdialog]") ?? document.body).append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    return done;
  }
}

/** Copies a text and says so for a moment. */
export function CopyButton({ text, label, className }: { text: string; label: string; className?: string }) {
  const [copied, setCopied] = useState(false);
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  useEffect(() => () => clearTimeout(timer.current), []);
  return (
    <Button
      variant="ghost"
      size="iconXs"
      className={className}
      aria-label={copied ? "Copied" : label}
      onClick={async () => {
        if (!(await copyText(text))) return;
        setCopied(true);
        clearTimeout(timer.current);
        timer.current = setTimeout(() => setCopied(false), 1600);
      }}
    >
      {copied ? <Check className="text-ok" aria-hidden /> : <Copy aria-hidden />}
    </Button>
  );
}

/** An identifier in monospace with a copy button. */
export function Copyable({
  text,
  label,
  className,
  short,
}: {
  text: string;
  label: string;
  className?: string;
  short?: boolean;
}) {
  return (
    <span className={cn("inline-flex max-w-full items-center gap-0.5", className)}>
      <span
        className={cn("min-w-0 font-mono text-xs", short ? "truncate" : "break-all")}
        title={short ? text : undefined}
      >
        {text}
      </span>
      <CopyButton text={text} label={`Copy ${label}`} />
    </span>
  );
}

/** Commands to run, one block, copied whole. */
export function CodeBlock({
  code,
  label,
  className,
  wrap,
}: {
  code: string;
  label: string;
  className?: string;
  wrap?: boolean;
}) {
  return (
    <div className={cn("flex min-w-0 items-start rounded-md border border-line bg-sunken", className)}>
      <pre
        // A block that scrolls sideways must be reachable with the keyboard.
        // biome-ignore lint/a11y/noNoninteractiveTabindex: see above
        tabIndex={0}
        className={cn(
          "min-w-0 flex-1 overflow-x-auto py-2.5 pl-3 font-mono text-xs leading-5",
          wrap && "whitespace-pre-wrap break-all",
        )}
      >
        <code>{code}</code>
      </pre>
      <CopyButton text={code} label={`Copy ${label}`} className="m-1.5" />
    </div>
  );
}
