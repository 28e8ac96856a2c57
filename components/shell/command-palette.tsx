"use client";
import { Command } from "cmdk";
import { BookOpen, Cpu } from "lucide-react";
import { useRouter } from "next/navigation";
import { Dialog } from "radix-ui";
import { useDeferredValue, useEffect, useState } from "react";
import { STATES } from "../states";
import { useData } from "../use-data";
import { useViewer } from "../viewer";
import { placesFor } from "./nav";

/** Operations that are shown; more of them are in the reference. */
const MAX_CALLS = 6;

const item =
  "flex h-9 cursor-pointer items-center gap-2.5 rounded-md px-2 text-sm data-[selected=true]:bg-hover [&_svg]:size-4 [&_svg]:shrink-0 [&_svg]:text-muted";
const group =
  "[&_[cmdk-group-heading]]:px-2 [&_[cmdk-group-heading]]:py-1.5 [&_[cmdk-group-heading]]:text-muted [&_[cmdk-group-heading]]:text-xs";

/** Goes to a page or a device by a few letters of its name. */
export function CommandPalette({
  open,
  onOpenChange,
}: {
  open: boolean;
  onOpenChange: (open: boolean) => void;
}) {
  const router = useRouter();
  const viewer = useViewer();
  const [text, setText] = useState("");
  const search = useDeferredValue(text.trim());
  const found = useData(
    "devices",
    { search, pageSize: 8 },
    { enabled: open && search.length > 0, keep: true },
  );

  const operations = useData("operations", {}, { enabled: open && search.length > 1 });

  useEffect(() => {
    const onkey = (event: KeyboardEvent) => {
      if (event.key.toLowerCase() !== "k" || !(event.metaKey || event.ctrlKey)) return;
      event.preventDefault();
      onOpenChange(!open);
    };
    document.addEventListener("keydown", onkey);
    return () => document.removeEventListener("keydown", onkey);
  }, [open, onOpenChange]);

  const go = (href: string) => {
    onOpenChange(false);
    setText("");
    router.push(href);
  };
  const pages = placesFor(viewer)
    .flatMap(({ items }) => items)
    .filter(({ label }) => label.toLowerCase().includes(search.toLowerCase()));

  const words = search.toLowerCase().split(/\s+/);
  const calls = search
    ? (operations.data ?? [])
        .filter(({ method, path, summary, tag }) => {
          const text = `${method} ${path} ${summary} ${tag}`.toLowerCase();
          return words.every((word) => text.includes(word));
        })
        .slice(0, MAX_CALLS)
    : [];

  return (
    <Dialog.Root open={open} onOpenChange={onOpenChange}>
      <Dialog.Portal>
        <Dialog.Overlay className="fixed inset-0 z-40 animate-fade bg-black/45" />
        <Dialog.Content
          aria-describedby={undefined}
          className="fixed top-[12vh] left-1/2 z-50 w-[min(34rem,calc(100vw-2rem))] -translate-x-1/2 animate-fade overflow-hidden rounded-xl border border-line bg-surface shadow-float outline-none"
        >
          <Dialog.Title className="sr-only">Search</Dialog.Title>
          <Command shouldFilter={false} label="Search">
            <Command.Input
              value={text}
              onValueChange={setText}
              placeholder="Device name, endpoint or ID, a page, or an API call"
              className="h-12 w-full border-line border-b bg-transparent px-4 text-base outline-none placeholder:text-faint"
            />
            <Command.List className="max-h-80 overflow-y-auto p-2">
              <Command.Empty className="py-8 text-center text-muted text-sm">
                Nothing is called that.
              </Command.Empty>
              {pages.length > 0 ? (
                <Command.Group heading="Pages" className={group}>
                  {pages.map(({ href, label, icon: Icon }) => (
                    <Command.Item key={href} value={href} onSelect={() => go(href)} className={item}>
                      <Icon aria-hidden />
                      {label}
                    </Command.Item>
                  ))}
                </Command.Group>
              ) : null}
              {search && found.data?.rows.length ? (
                <Command.Group heading="Devices" className={group}>
                  {found.data.rows.map((device) => (
                    <Command.Item
                      key={device.id}
                      value={device.id}
                      onSelect={() => go(`/devices/${device.id}`)}
                      className={item}
                    >
                      <Cpu aria-hidden />
                      <span className="truncate">{device.name || device.endpointName}</span>
                      <span className="ml-auto shrink-0 text-muted text-xs">
                        {STATES[device.state].label}
                      </span>
                    </Command.Item>
                  ))}
                </Command.Group>
              ) : null}
              {calls.length > 0 ? (
                <Command.Group heading="API reference" className={group}>
                  {calls.map(({ id, method, path, summary }) => (
                    <Command.Item
                      key={id}
                      value={id}
                      onSelect={() => go(`/reference/${id}`)}
                      className={item}
                    >
                      <BookOpen aria-hidden />
                      <span className="min-w-0 truncate">{summary}</span>
                      <span className="ml-auto max-w-[50%] shrink-0 truncate font-mono text-2xs text-muted max-sm:hidden">
                        {method} {path}
                      </span>
                    </Command.Item>
                  ))}
                </Command.Group>
              ) : null}
            </Command.List>
          </Command>
        </Dialog.Content>
      </Dialog.Portal>
    </Dialog.Root>
  );
}
