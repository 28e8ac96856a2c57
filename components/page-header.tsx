import { SquareTerminal } from "lucide-react";
import type { ReactNode } from "react";
import { CopyButton } from "./ui/copy";

/** The title of a page, what it is for, and what to do on it. */
export function PageHeader({
  title,
  children,
  actions,
  below,
}: {
  title: ReactNode;
  children?: ReactNode;
  actions?: ReactNode;
  /** The page has a heading of its own further down. */
  below?: boolean;
}) {
  const Heading = below ? "p" : "h1";
  return (
    <div className="mb-6 flex flex-wrap items-start justify-between gap-x-6 gap-y-4">
      <div className="min-w-0 max-w-2xl">
        <Heading className="font-semibold text-xl">{title}</Heading>
        {children ? <p className="mt-1 text-muted text-sm">{children}</p> : null}
      </div>
      {actions ? <div className="flex flex-wrap items-center gap-2">{actions}</div> : null}
    </div>
  );
}

/** The command that does the same in a terminal. */
export function CliHint({ commands }: { commands: { does: string; run: string }[] }) {
  return (
    <section aria-label="In a terminal" className="mt-8 border-line border-t pt-4">
      <p className="mb-1.5 flex items-center gap-1.5 text-muted text-xs">
        <SquareTerminal className="size-3.5" aria-hidden />
        The same in a terminal
      </p>
      <ul className="grid gap-0.5">
        {commands.map(({ does, run }) => (
          <li key={run} className="flex min-w-0 items-center gap-2 text-xs">
            <code className="min-w-0 break-all font-mono">{run}</code>
            <CopyButton text={run} label={`Copy the command: ${does}`} />
            <span className="hidden text-muted sm:inline">{does}</span>
          </li>
        ))}
      </ul>
    </section>
  );
}
