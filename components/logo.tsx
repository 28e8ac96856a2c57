import { cn } from "./ui/cn";

/** The mark: a plank from the quay to the ship. */
export function Mark({ className }: { className?: string }) {
  return (
    <svg viewBox="0 0 32 32" className={cn("size-6 shrink-0", className)} aria-hidden>
      <rect width="32" height="32" rx="7" className="fill-accent" />
      <g fill="none" className="stroke-on-accent" strokeLinecap="round" strokeLinejoin="round">
        <path d="M6 23.5h7L24.5 9" strokeWidth="3" />
        <path d="M14.5 15.8 19 19.4M18.2 11.2l4.5 3.5" strokeWidth="2.4" />
      </g>
    </svg>
  );
}

export function Logo({ className }: { className?: string }) {
  return (
    <span className={cn("inline-flex items-center gap-2", className)}>
      <Mark />
      <span className="font-semibold text-[0.9375rem] tracking-tight">Gangway</span>
    </span>
  );
}
