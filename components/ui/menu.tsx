"use client";
import { DropdownMenu as Radix } from "radix-ui";
import type { ComponentProps, ReactNode } from "react";
import { cn } from "./cn";

/** A menu under its trigger. */
export function Menu({
  trigger,
  align = "end",
  children,
}: {
  trigger: ReactNode;
  align?: "start" | "end";
  children: ReactNode;
}) {
  return (
    <Radix.Root modal={false}>
      <Radix.Trigger asChild>{trigger}</Radix.Trigger>
      <Radix.Portal>
        <Radix.Content
          align={align}
          sideOffset={6}
          collisionPadding={8}
          className="z-50 min-w-48 animate-rise rounded-lg border border-line bg-surface p-1 text-sm shadow-float"
        >
          {children}
        </Radix.Content>
      </Radix.Portal>
    </Radix.Root>
  );
}

const item =
  "flex min-h-8 cursor-pointer select-none items-center gap-2 rounded px-2 outline-none data-highlighted:bg-hover [&_svg]:size-4 [&_svg]:shrink-0 [&_svg]:text-muted";

export function MenuItem({
  className,
  danger,
  unavailable,
  onSelect,
  children,
  ...rest
}: ComponentProps<typeof Radix.Item> & {
  danger?: boolean;
  /** Why it cannot be chosen now. It stays within reach of the keyboard, so that the reason can be read. */
  unavailable?: string | null;
}) {
  if (unavailable)
    return (
      <Radix.Item
        aria-disabled
        className={cn(item, "block cursor-default py-1.5 text-muted", className)}
        onSelect={(event) => event.preventDefault()}
        {...rest}
      >
        <span className="flex items-center gap-2">{children}</span>
        <span className="block max-w-56 pl-6 text-xs">{unavailable}</span>
      </Radix.Item>
    );
  return (
    <Radix.Item
      className={cn(item, danger && "text-bad data-highlighted:bg-bad-soft [&_svg]:text-bad", className)}
      onSelect={onSelect}
      {...rest}
    >
      {children}
    </Radix.Item>
  );
}

export function MenuLabel({ children }: { children: ReactNode }) {
  return <Radix.Label className="px-2 py-1.5 text-xs text-muted">{children}</Radix.Label>;
}

export function MenuSeparator() {
  return <Radix.Separator className="-mx-1 my-1 h-px bg-line" />;
}

export const MenuRadioGroup = Radix.RadioGroup;

export function MenuRadioItem({ children, ...rest }: ComponentProps<typeof Radix.RadioItem>) {
  return (
    <Radix.RadioItem className={item} {...rest}>
      {children}
      <Radix.ItemIndicator className="ml-auto size-1.5 rounded-full bg-accent" />
    </Radix.RadioItem>
  );
}
