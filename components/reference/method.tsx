import { cn } from "../ui/cn";

const TONES: Record<string, string> = {
  GET: "text-accent",
  POST: "text-ok",
  PUT: "text-warn",
  PATCH: "text-warn",
  DELETE: "text-bad",
};

export function Method({ method, className }: { method: string; className?: string }) {
  return (
    <span
      className={cn(
        "inline-block w-12 shrink-0 font-mono font-semibold text-2xs leading-5",
        TONES[method] ?? "text-muted",
        className,
      )}
    >
      {method}
    </span>
  );
}
