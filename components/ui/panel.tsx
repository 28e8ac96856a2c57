import type { ComponentProps, ReactNode } from "react";
import { cn } from "./cn";

/** A bordered surface with an optional title row. */
export function Panel({
  title,
  description,
  actions,
  beside,
  className,
  children,
  ...rest
}: Omit<ComponentProps<"section">, "title"> & {
  title?: ReactNode;
  description?: ReactNode;
  actions?: ReactNode;
  /** The actions are small, and stay beside the title on a narrow screen, too. */
  beside?: boolean;
}) {
  return (
    <section
      className={cn("min-w-0 overflow-hidden rounded-lg border border-line bg-surface", className)}
      {...rest}
    >
      {title ? (
        <header
          className={cn(
            "flex items-center justify-between gap-x-4 gap-y-2 border-line border-b px-4 py-3",
            beside ? "items-start" : "flex-wrap",
          )}
        >
          <div className="min-w-0">
            <h2 className="font-semibold text-sm">{title}</h2>
            {description ? <p className="text-muted text-xs">{description}</p> : null}
          </div>
          {actions ? (
            <div className={cn("flex items-center gap-2", beside && "-my-1.5")}>{actions}</div>
          ) : null}
        </header>
      ) : null}
      {children}
    </section>
  );
}

/** A grey block of the size of what will come. */
export function Skeleton({ className }: { className?: string }) {
  return <div aria-hidden className={cn("animate-shimmer rounded bg-sunken", className)} />;
}

/** What a page shows when there is nothing yet: why, and the one thing to do. */
export function EmptyState({
  icon,
  title,
  children,
  action,
}: {
  icon?: ReactNode;
  title: string;
  children?: ReactNode;
  action?: ReactNode;
}) {
  return (
    <div className="grid justify-items-center gap-1.5 px-6 py-14 text-center">
      {icon ? <div className="mb-2 text-faint [&_svg]:size-7 [&_svg]:stroke-[1.5]">{icon}</div> : null}
      <p className="font-medium text-base">{title}</p>
      {children ? <div className="max-w-md text-balance text-muted text-sm">{children}</div> : null}
      {action ? <div className="mt-4">{action}</div> : null}
    </div>
  );
}

/** A statement in a coloured box. */
export function Notice({
  tone = "info",
  icon,
  className,
  children,
}: {
  tone?: "info" | "warn" | "bad" | "ok";
  icon?: ReactNode;
  className?: string;
  children: ReactNode;
}) {
  const tones = {
    info: "bg-accent-soft text-ink [&_svg]:text-accent",
    ok: "bg-ok-soft text-ink [&_svg]:text-ok",
    warn: "bg-warn-soft text-ink [&_svg]:text-warn",
    bad: "bg-bad-soft text-ink [&_svg]:text-bad",
  };
  return (
    <div
      className={cn(
        "flex gap-2.5 rounded-md px-3 py-2.5 text-sm [&_svg]:mt-0.5 [&_svg]:size-4 [&_svg]:shrink-0",
        tones[tone],
        className,
      )}
    >
      {icon}
      <div className="min-w-0">{children}</div>
    </div>
  );
}

/** A list that is on its way. */
export function LoadingRows({ rows = 4 }: { rows?: number }) {
  return (
    <Panel aria-busy aria-label="Loading">
      <div className="grid gap-4 p-4">
        {Array.from({ length: rows }, (_, row) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: the rows are all alike and never change places
          <Skeleton key={row} className="h-9" />
        ))}
      </div>
    </Panel>
  );
}
