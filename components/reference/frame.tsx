"use client";
import { ArrowLeft, Braces, ChevronRight, Search, X } from "lucide-react";
import Link from "next/link";
import { usePathname } from "next/navigation";
import { type KeyboardEvent, type ReactNode, useDeferredValue, useEffect, useRef, useState } from "react";
import type { OperationGroup, OperationLine } from "@/server/portal/reference";
import { plural } from "../format";
import { PageHeader } from "../page-header";
import { Button } from "../ui/button";
import { cn } from "../ui/cn";
import { Method } from "./method";
import { inlineCode } from "./schema";

/** The list of operations beside what is said of one; on a narrow screen the one or the other. */
export function ReferenceFrame({ groups, children }: { groups: OperationGroup[]; children: ReactNode }) {
  const pathname = usePathname();
  const isIndex = pathname === "/reference";
  return (
    <>
      <div className={cn(!isIndex && "max-lg:hidden")}>
        <PageHeader
          title="API reference"
          below={!isIndex}
          actions={
            <Button asChild size="md">
              <a href="/openapi.json" target="_blank" rel="noreferrer">
                <Braces aria-hidden />
                OpenAPI document
              </a>
            </Button>
          }
        >
          The REST API of this instance, in the form of Pelion’s: what programs can do, and how.
        </PageHeader>
      </div>
      {isIndex ? null : (
        <Link
          href="/reference"
          className="mb-3 inline-flex items-center gap-1.5 rounded text-muted text-sm hover:text-ink lg:hidden"
        >
          <ArrowLeft className="size-3.5" aria-hidden />
          API reference
        </Link>
      )}
      <div className="grid items-start gap-8 lg:grid-cols-[19rem_minmax(0,1fr)]">
        <div
          className={cn(
            "min-w-0 lg:sticky lg:top-6 lg:max-h-[calc(100dvh-3rem)] lg:overflow-y-auto",
            !isIndex && "max-lg:hidden",
          )}
        >
          <Operations groups={groups} pathname={pathname} />
        </div>
        <div className="min-w-0">{children}</div>
      </div>
    </>
  );
}

const hrefOf = (operation: OperationLine) => `/reference/${operation.id}`;

/** Every word has to be somewhere in the method, the path, the summary or what it is about. */
function matches(operation: OperationLine, tag: string, words: string[]): boolean {
  const text = `${operation.method} ${operation.path} ${operation.summary} ${tag} ${operation.scope ?? ""}`;
  const lower = text.toLowerCase();
  return words.every((word) => lower.includes(word));
}

function Operations({ groups, pathname }: { groups: OperationGroup[]; pathname: string }) {
  const [text, setText] = useState("");
  const input = useRef<HTMLInputElement>(null);
  const list = useRef<HTMLElement>(null);
  const words = useDeferredValue(text).toLowerCase().split(/\s+/).filter(Boolean);
  const shown = groups
    .map(({ tag, operations }) => ({
      tag,
      operations:
        words.length === 0 ? operations : operations.filter((operation) => matches(operation, tag, words)),
    }))
    .filter(({ operations }) => operations.length > 0);
  const count = shown.reduce((sum, { operations }) => sum + operations.length, 0);

  useEffect(() => {
    const onkey = (event: globalThis.KeyboardEvent) => {
      if (event.key !== "/" || event.metaKey || event.ctrlKey || event.altKey) return;
      if (event.target instanceof Element && event.target.closest("input,textarea,select,[role=dialog]"))
        return;
      event.preventDefault();
      input.current?.focus();
    };
    document.addEventListener("keydown", onkey);
    return () => document.removeEventListener("keydown", onkey);
  }, []);

  /** Arrows go through the search and what it found. */
  const onarrow = (event: KeyboardEvent) => {
    const step = event.key === "ArrowDown" ? 1 : event.key === "ArrowUp" ? -1 : 0;
    if (step === 0) return;
    const stops = [...(list.current?.querySelectorAll<HTMLElement>("input,a,summary") ?? [])].filter((one) =>
      one.checkVisibility(),
    );
    const next = stops[stops.indexOf(document.activeElement as HTMLElement) + step];
    if (!next) return;
    event.preventDefault();
    next.focus();
  };

  return (
    <nav aria-label="Operations" ref={list} onKeyDown={onarrow}>
      <div className="relative z-10 bg-page pb-3 lg:sticky lg:top-0">
        <Search className="pointer-events-none absolute top-2.5 left-2.5 size-4 text-muted" aria-hidden />
        <input
          ref={input}
          type="search"
          aria-label="Search operations"
          placeholder="Search, for instance “put device”"
          value={text}
          onChange={(event) => setText(event.target.value)}
          onKeyDown={(event) => {
            if (event.key !== "Enter") return;
            list.current?.querySelector<HTMLAnchorElement>("a")?.click();
          }}
          className="h-9 w-full rounded-md border border-line-strong bg-surface pr-8 pl-8 text-sm placeholder:text-faint focus-visible:border-accent focus-visible:outline-1 focus-visible:outline-offset-[-1px] [&::-webkit-search-cancel-button]:hidden"
        />
        {text ? (
          <Button
            variant="ghost"
            size="iconXs"
            className="absolute top-1 right-1"
            aria-label="Clear the search"
            onClick={() => {
              setText("");
              input.current?.focus();
            }}
          >
            <X aria-hidden />
          </Button>
        ) : (
          <kbd className="pointer-events-none absolute top-2 right-3 font-sans text-muted text-xs max-lg:hidden">
            /
          </kbd>
        )}
        <p role="status" className={cn("pt-2 text-muted text-xs", words.length === 0 && "sr-only")}>
          {count === 0 ? "No operation is like that." : plural(count, "operation")}
        </p>
      </div>
      <div className="grid gap-1">
        {shown.map(({ tag, operations }) => (
          <Group
            // Searching opens what is found; then the groups are as they were.
            key={`${tag} ${words.length > 0}`}
            tag={tag}
            operations={operations}
            open={words.length > 0 || operations.some((operation) => hrefOf(operation) === pathname)}
            pathname={pathname}
          />
        ))}
      </div>
    </nav>
  );
}

function Group({
  tag,
  operations,
  open,
  pathname,
}: {
  tag: string;
  operations: OperationLine[];
  open: boolean;
  pathname: string;
}) {
  const details = useRef<HTMLDetailsElement>(null);
  // A group that its reader opened stays open; the one of the page that is gone to opens.
  useEffect(() => {
    if (open && details.current) details.current.open = true;
  }, [open]);
  return (
    <details ref={details} className="group">
      <summary className="flex h-9 cursor-pointer list-none items-center gap-2 rounded-md px-2 text-sm -outline-offset-2 hover:bg-hover lg:h-8 [&::-webkit-details-marker]:hidden">
        <ChevronRight
          className="size-3.5 shrink-0 text-muted transition-transform group-open:rotate-90"
          aria-hidden
        />
        <span className="min-w-0 truncate font-medium">{tag}</span>
        <span className="tabular ml-auto text-muted text-xs">{operations.length}</span>
      </summary>
      <ul className="mt-0.5 mb-2 ml-3.5 border-line border-l pl-1.5">
        {operations.map((operation) => (
          <li key={operation.id}>
            <Link
              href={hrefOf(operation)}
              prefetch={false}
              aria-current={hrefOf(operation) === pathname ? "page" : undefined}
              className="block rounded-md px-2 py-1.5 -outline-offset-2 hover:bg-hover aria-[current=page]:bg-hover"
            >
              <span className={cn("block text-sm", operation.deprecated && "text-muted line-through")}>
                {inlineCode(operation.summary)}
              </span>
              <span className="flex gap-1 text-muted">
                <Method method={operation.method} />
                <span className="min-w-0 break-all font-mono text-2xs leading-5">{operation.path}</span>
              </span>
            </Link>
          </li>
        ))}
      </ul>
    </details>
  );
}
