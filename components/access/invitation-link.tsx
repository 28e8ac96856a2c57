"use client";
import { Link2 } from "lucide-react";
import { Button } from "../ui/button";
import { CodeBlock } from "../ui/copy";
import { DialogActions } from "../ui/dialog";
import { Notice } from "../ui/panel";

/** The link of an invitation that was just made, the only time that it is seen. */
export function InvitationLink({
  token,
  email,
  onDone,
}: {
  token: string;
  email: string;
  onDone: () => void;
}) {
  return (
    <div className="grid grid-cols-1 gap-4">
      <CodeBlock code={`${location.origin}/invitation?token=${token}`} label="the link" wrap />
      <Notice tone="warn" icon={<Link2 aria-hidden />}>
        No mail is sent from here: hand this link to {email}. It works once, within 30 days, and cannot be
        shown again. Whoever has it can become this user.
      </Notice>
      <DialogActions>
        <Button variant="primary" size="md" onClick={onDone}>
          I have the link
        </Button>
      </DialogActions>
    </div>
  );
}
