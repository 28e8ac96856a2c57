"use client";
import { X } from "lucide-react";
import { Dialog as Radix, AlertDialog as RadixAlert } from "radix-ui";
import { type FormEvent, type ReactNode, useState } from "react";
import { Button } from "./button";
import { cn } from "./cn";

const overlay = "fixed inset-0 z-40 animate-fade bg-black/45 backdrop-blur-[1px]";
const panel =
  "fixed inset-x-0 bottom-0 z-50 max-h-[92dvh] animate-rise overflow-y-auto rounded-t-xl border border-line bg-surface p-5 shadow-float outline-none sm:inset-x-auto sm:top-[14vh] sm:bottom-auto sm:left-1/2 sm:max-h-[78dvh] sm:w-[min(32rem,calc(100vw-2rem))] sm:-translate-x-1/2 sm:rounded-xl sm:p-6";

/** A modal; a sheet from below on a phone. */
export function Dialog({
  open,
  onOpenChange,
  trigger,
  title,
  description,
  wide,
  locked,
  children,
}: {
  open?: boolean;
  onOpenChange?: (open: boolean) => void;
  trigger?: ReactNode;
  title: string;
  description?: ReactNode;
  wide?: boolean;
  /** Closes by its buttons only: for something that cannot be shown again. */
  locked?: boolean;
  children: ReactNode;
}) {
  return (
    <Radix.Root open={open} onOpenChange={onOpenChange}>
      {trigger ? <Radix.Trigger asChild>{trigger}</Radix.Trigger> : null}
      <Radix.Portal>
        <Radix.Overlay className={overlay} />
        <Radix.Content
          className={cn(panel, wide && "sm:w-[min(44rem,calc(100vw-2rem))]")}
          {...(description ? {} : { "aria-describedby": undefined })}
          onInteractOutside={locked ? (event) => event.preventDefault() : undefined}
          onEscapeKeyDown={locked ? (event) => event.preventDefault() : undefined}
        >
          <div className="mb-4 pr-8">
            <Radix.Title className="text-lg font-semibold">{title}</Radix.Title>
            {description ? (
              <Radix.Description asChild>
                <div className="mt-1 text-sm text-muted">{description}</div>
              </Radix.Description>
            ) : null}
          </div>
          {locked ? null : (
            <Radix.Close asChild>
              <Button variant="ghost" size="icon" className="absolute top-4 right-4" aria-label="Close">
                <X aria-hidden />
              </Button>
            </Radix.Close>
          )}
          {children}
        </Radix.Content>
      </Radix.Portal>
    </Radix.Root>
  );
}

export function DialogActions({ children }: { children: ReactNode }) {
  return <div className="mt-6 flex flex-col-reverse gap-2 sm:flex-row sm:justify-end">{children}</div>;
}

export const DialogClose = Radix.Close;

/** A dialog that is one form. */
export function FormDialog({
  action,
  danger,
  busy,
  onSubmit,
  onReset,
  onOpenChange,
  made,
  children,
  ...dialog
}: {
  open: boolean;
  onOpenChange: (open: boolean) => void;
  trigger?: ReactNode;
  title: string;
  description?: ReactNode;
  /** The verb on the button. */
  action: string;
  danger?: boolean;
  busy: boolean;
  /** Resolves to true when the dialog may close. */
  onSubmit: (form: FormData) => Promise<boolean>;
  /** What was said of the last try is void. */
  onReset: () => void;
  /** Takes the place of the form once there is something that cannot be shown again. */
  made?: ReactNode;
  children: ReactNode;
}) {
  async function submit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault();
    if (await onSubmit(new FormData(event.currentTarget))) onOpenChange(false);
  }
  return (
    <Dialog
      {...dialog}
      onOpenChange={(next) => {
        onReset();
        onOpenChange(next);
      }}
      locked={Boolean(made)}
    >
      {made || (
        <form onSubmit={submit} className="grid gap-4">
          {children}
          <DialogActions>
            <DialogClose asChild>
              <Button size="md">Cancel</Button>
            </DialogClose>
            <Button type="submit" variant={danger ? "danger" : "primary"} size="md" busy={busy}>
              {action}
            </Button>
          </DialogActions>
        </form>
      )}
    </Dialog>
  );
}

/** Asks before something that cannot be taken back; says what will happen, not "are you sure". */
export function Confirm({
  open,
  onOpenChange,
  trigger,
  title,
  children,
  action,
  harmless,
  onConfirm,
}: {
  open?: boolean;
  onOpenChange?: (open: boolean) => void;
  trigger?: ReactNode;
  title: string;
  children: ReactNode;
  /** The verb on the button. */
  action: string;
  /** Nothing is lost by it, so the button is not red. */
  harmless?: boolean;
  /** Resolves to true when the dialog may close. */
  onConfirm: () => Promise<boolean>;
}) {
  const [ownOpen, setOwnOpen] = useState(false);
  const [busy, setBusy] = useState(false);
  const isOpen = open ?? ownOpen;
  const setOpen = onOpenChange ?? setOwnOpen;
  return (
    <RadixAlert.Root open={isOpen} onOpenChange={setOpen}>
      {trigger ? <RadixAlert.Trigger asChild>{trigger}</RadixAlert.Trigger> : null}
      <RadixAlert.Portal>
        <RadixAlert.Overlay className={overlay} />
        <RadixAlert.Content className={panel}>
          <RadixAlert.Title className="text-lg font-semibold">{title}</RadixAlert.Title>
          <RadixAlert.Description asChild>
            <div className="mt-2 grid gap-2 text-sm text-muted [&_strong]:font-medium [&_strong]:text-ink">
              {children}
            </div>
          </RadixAlert.Description>
          <DialogActions>
            <RadixAlert.Cancel asChild>
              <Button size="md">Cancel</Button>
            </RadixAlert.Cancel>
            <Button
              size="md"
              variant={harmless ? "primary" : "danger"}
              busy={busy}
              onClick={async () => {
                setBusy(true);
                try {
                  if (await onConfirm()) setOpen(false);
                } finally {
                  setBusy(false);
                }
              }}
            >
              {action}
            </Button>
          </DialogActions>
        </RadixAlert.Content>
      </RadixAlert.Portal>
    </RadixAlert.Root>
  );
}
