"use client";
import { Menu as MenuIcon, Search, X } from "lucide-react";
import Link from "next/link";
import { usePathname } from "next/navigation";
import { Dialog } from "radix-ui";
import { type ReactNode, useEffect, useState } from "react";
import { LiveProvider } from "../live";
import { Logo } from "../logo";
import { Button } from "../ui/button";
import { cn } from "../ui/cn";
import { useViewer } from "../viewer";
import { CommandPalette } from "./command-palette";
import { GatewayLine } from "./gateway-line";
import { isHere, placesFor } from "./nav";
import { StorageNotice } from "./storage-notice";
import { UserMenu, type UserMenuProps } from "./user-menu";

/** What stays around every page: navigation, search, who is signed in, whether the gateway is up. */
export function Shell({ user, children }: { user: UserMenuProps; children: ReactNode }) {
  const [searching, setSearching] = useState(false);
  const [navigating, setNavigating] = useState(false);
  const pathname = usePathname();
  // biome-ignore lint/correctness/useExhaustiveDependencies: a new address closes the drawer
  useEffect(() => setNavigating(false), [pathname]);

  return (
    <LiveProvider>
      <a
        href="#main"
        className="sr-only z-50 rounded-md bg-accent px-3 py-2 text-on-accent text-sm focus:not-sr-only focus:fixed focus:top-2 focus:left-2"
      >
        Skip to the content
      </a>
      <div className="md:grid md:grid-cols-[13.5rem_minmax(0,1fr)]">
        <aside className="sticky top-0 hidden h-dvh flex-col border-line border-r bg-page px-3 py-4 md:flex">
          <Link href="/" className="mb-4 rounded-md px-2" aria-label="Gangway, overview">
            <Logo />
          </Link>
          <SearchButton onClick={() => setSearching(true)} />
          <Nav pathname={pathname} />
          <div className="mt-auto grid gap-1">
            <GatewayLine />
            <UserMenu {...user} />
          </div>
        </aside>

        <header className="sticky top-0 z-30 flex h-14 items-center justify-between border-line border-b bg-page/95 pr-2 pl-4 backdrop-blur md:hidden">
          <Link href="/" className="rounded-md" aria-label="Gangway, overview">
            <Logo />
          </Link>
          <div className="flex gap-1">
            <Button
              variant="ghost"
              size="icon"
              className="size-10"
              aria-label="Search"
              onClick={() => setSearching(true)}
            >
              <Search aria-hidden />
            </Button>
            <Dialog.Root open={navigating} onOpenChange={setNavigating}>
              <Dialog.Trigger asChild>
                <Button variant="ghost" size="icon" className="size-10" aria-label="Menu">
                  <MenuIcon aria-hidden />
                </Button>
              </Dialog.Trigger>
              <Dialog.Portal>
                <Dialog.Overlay className="fixed inset-0 z-40 animate-fade bg-black/45" />
                <Dialog.Content
                  aria-describedby={undefined}
                  className="fixed inset-y-0 left-0 z-50 flex w-72 max-w-[85vw] animate-slide flex-col border-line border-r bg-page px-3 py-4 outline-none"
                >
                  <div className="mb-4 flex items-center justify-between pl-2">
                    <Dialog.Title className="sr-only">Menu</Dialog.Title>
                    <Logo />
                    <Dialog.Close asChild>
                      <Button variant="ghost" size="icon" aria-label="Close">
                        <X aria-hidden />
                      </Button>
                    </Dialog.Close>
                  </div>
                  <Nav pathname={pathname} onGo={() => setNavigating(false)} />
                  <div className="mt-auto grid gap-1">
                    <GatewayLine />
                    <UserMenu {...user} />
                  </div>
                </Dialog.Content>
              </Dialog.Portal>
            </Dialog.Root>
          </div>
        </header>

        <main
          id="main"
          tabIndex={-1}
          className="mx-auto w-full min-w-0 max-w-[78rem] px-4 py-6 outline-none md:px-8 md:py-8"
        >
          <StorageNotice />
          {children}
        </main>
      </div>
      <CommandPalette open={searching} onOpenChange={setSearching} />
    </LiveProvider>
  );
}

function SearchButton({ onClick }: { onClick: () => void }) {
  return (
    <button
      type="button"
      onClick={onClick}
      className="mb-4 flex h-8 items-center gap-2 rounded-md border border-line-strong bg-surface px-2 text-muted text-sm transition-colors hover:text-ink"
    >
      <Search className="size-3.5" aria-hidden />
      Search
      <kbd className="ml-auto font-sans text-2xs">⌘K</kbd>
    </button>
  );
}

function Nav({ pathname, onGo }: { pathname: string; onGo?: () => void }) {
  const viewer = useViewer();
  return (
    <nav aria-label="Main" className="-mx-1 grid min-h-0 gap-5 overflow-y-auto px-1 pb-3">
      {placesFor(viewer).map((group) => (
        <div key={group.title ?? "main"} className="grid gap-0.5">
          {group.title ? <p className="px-2 pb-1 text-muted text-xs">{group.title}</p> : null}
          {group.items.map(({ href, label, icon: Icon }) => (
            <Link
              key={href}
              href={href}
              onClick={onGo}
              aria-current={isHere(pathname, href) ? "page" : undefined}
              className={cn(
                "flex h-9 items-center gap-2.5 rounded-md px-2 text-muted text-sm transition-colors hover:bg-hover hover:text-ink md:h-8",
                "aria-[current=page]:bg-hover aria-[current=page]:font-medium aria-[current=page]:text-ink aria-[current=page]:[&_svg]:text-accent",
              )}
            >
              <Icon className="size-4" aria-hidden />
              {label}
            </Link>
          ))}
        </div>
      ))}
    </nav>
  );
}
