"use client";
import { ShieldAlert } from "lucide-react";
import { Button } from "../ui/button";
import { CodeBlock } from "../ui/copy";
import { DialogActions } from "../ui/dialog";
import { Notice } from "../ui/panel";

/** A key that was just made, the only time that it is seen. */
export function ShownOnce({ secret, onDone }: { secret: string; onDone: () => void }) {
  return (
    <div className="grid gap-4">
      <CodeBlock code={secret} label="the key" wrap />
      <Notice tone="warn" icon={<ShieldAlert aria-hidden />}>
        Copy it now: only its hash is kept here, so it cannot be shown again. Send it as{" "}
        <code className="font-mono text-xs">Authorization: Bearer …</code>
      </Notice>
      <DialogActions>
        <Button variant="primary" size="md" onClick={onDone}>
          I have the key
        </Button>
      </DialogActions>
    </div>
  );
}
