"use client";
import { Ellipsis, Power, ShieldCheck, ShieldOff, Trash2 } from "lucide-react";
import { useState } from "react";
import { changeUser, deleteUser } from "@/app/actions";
import type { QueryOutput } from "@/server/portal/queries";
import { LoadError } from "../load-error";
import { Badge } from "../status";
import { Ago, useNow } from "../time";
import { Button } from "../ui/button";
import { Confirm } from "../ui/dialog";
import { Menu, MenuItem, MenuSeparator } from "../ui/menu";
import { LoadingRows, Panel } from "../ui/panel";
import { useAct } from "../use-act";
import { useData } from "../use-data";
import { useViewer } from "../viewer";

type User = QueryOutput<"users">[number];

export function UserList() {
  const { data, error, refetch } = useData("users", {});
  if (error && !data) return <LoadError message={error.message} retry={() => void refetch()} />;
  if (!data) return <LoadingRows />;
  return (
    <Panel>
      <ul className="divide-y divide-line">
        {data.map((user) => (
          <Item key={user.id} user={user} />
        ))}
      </ul>
    </Panel>
  );
}

const waits = ({ status }: User) => status === "INVITED" || status === "ENROLLING";

function Item({ user }: { user: User }) {
  const viewer = useViewer();
  return (
    <li className="grid grid-cols-[minmax(0,1fr)_auto] items-center gap-x-4 gap-y-1 px-4 py-3 md:grid-cols-[minmax(0,1fr)_12rem_2rem]">
      <div className="min-w-0">
        <p className="flex flex-wrap items-center gap-x-2 gap-y-1">
          <span className="min-w-0 break-words font-medium">{user.name || user.email}</span>
          {user.role === "administrator" ? <Badge tone="info">Administrator</Badge> : null}
          {waits(user) ? <Badge tone="warn">Invited</Badge> : null}
          {user.status === "INACTIVE" ? <Badge tone="bad">Switched off</Badge> : null}
          {user.id === viewer.id ? <span className="text-muted text-xs">you</span> : null}
        </p>
        {user.name ? <p className="break-words text-muted text-xs">{user.email}</p> : null}
      </div>
      <p className="text-muted text-xs max-md:row-start-2">
        {user.invitedUntil ? (
          <LinkEnd at={user.invitedUntil} />
        ) : user.lastLoginAt ? (
          <>
            Signed in <Ago at={user.lastLoginAt} />
          </>
        ) : (
          "Never signed in"
        )}
      </p>
      {viewer.administrator ? <Actions user={user} /> : null}
    </li>
  );
}

function LinkEnd({ at }: { at: string }) {
  const ended = useNow((now) => Date.parse(at) <= now);
  return (
    <>
      The link {ended ? "ended" : "ends"} <Ago at={at} />
    </>
  );
}

function Actions({ user }: { user: User }) {
  const viewer = useViewer();
  const { act } = useAct();
  const [dialog, setDialog] = useState<string | null>(null);
  const name = user.name || user.email;
  const self = user.id === viewer.id ? "You cannot do this to yourself." : null;
  const governs = user.role === "administrator";
  const off = user.status === "INACTIVE";
  const dialogOf = (which: string) => ({
    open: dialog === which,
    onOpenChange: (open: boolean) => setDialog(open ? which : null),
  });
  const change = (part: Partial<Pick<Parameters<typeof changeUser>[0], "role" | "status">>, done: string) =>
    act(() => changeUser({ id: user.id, ...part }), { stale: ["users"], done });
  return (
    <>
      <Menu
        trigger={
          <Button variant="ghost" size="icon" aria-label={`More for ${name}`}>
            <Ellipsis aria-hidden />
          </Button>
        }
      >
        <MenuItem
          unavailable={self}
          onSelect={() =>
            void change(
              { role: governs ? "developer" : "administrator" },
              `${name} is ${governs ? "no longer an administrator" : "an administrator"}.`,
            )
          }
        >
          {governs ? <ShieldOff aria-hidden /> : <ShieldCheck aria-hidden />}
          {governs ? "Make a developer" : "Make an administrator"}
        </MenuItem>
        {waits(user) ? null : (
          <MenuItem
            unavailable={self}
            onSelect={() =>
              off ? void change({ status: "ACTIVE" }, `${name} can sign in again.`) : setDialog("off")
            }
          >
            <Power aria-hidden />
            {off ? "Switch on" : "Switch off"}
          </MenuItem>
        )}
        <MenuSeparator />
        <MenuItem unavailable={self} danger onSelect={() => setDialog("delete")}>
          <Trash2 aria-hidden />
          {waits(user) ? "Take the invitation back" : "Delete"}
        </MenuItem>
      </Menu>
      <Confirm
        {...dialogOf("off")}
        title={`Switch ${name} off?`}
        action="Switch off"
        onConfirm={async () =>
          (await change({ status: "INACTIVE" }, `${name} can no longer sign in.`)) !== null
        }
      >
        <p>They are signed out at once and cannot sign in until they are switched on again.</p>
      </Confirm>
      <Confirm
        {...dialogOf("delete")}
        title={waits(user) ? `Take the invitation of ${name} back?` : `Delete ${name}?`}
        action={waits(user) ? "Take it back" : "Delete user"}
        onConfirm={async () =>
          (await act(() => deleteUser({ id: user.id }), {
            stale: ["users"],
            done: waits(user) ? "The link no longer works." : `${name} is deleted.`,
          })) !== null
        }
      >
        <p>
          {waits(user)
            ? "The link that you handed on no longer works."
            : "They are signed out at once. API keys that they made go on."}
        </p>
      </Confirm>
    </>
  );
}
