"use client";
import { Pause, Play } from "lucide-react";
import { useState } from "react";
import { changeAccount } from "@/app/actions";
import type { QueryOutput } from "@/server/portal/queries";
import { LoadError } from "../load-error";
import { Badge } from "../status";
import { Ago } from "../time";
import { Button } from "../ui/button";
import { Copyable } from "../ui/copy";
import { Confirm } from "../ui/dialog";
import { LoadingRows, Panel } from "../ui/panel";
import { useAct } from "../use-act";
import { useData } from "../use-data";

type Account = QueryOutput<"accounts">[number];

export function AccountList() {
  const { data, error, refetch } = useData("accounts", {});
  if (error && !data) return <LoadError message={error.message} retry={() => void refetch()} />;
  if (!data) return <LoadingRows />;
  return (
    <Panel>
      <ul className="divide-y divide-line">
        {data.map((account, index) => (
          // The first one runs the instance.
          <Item key={account.id} account={account} first={index === 0} />
        ))}
      </ul>
    </Panel>
  );
}

function Item({ account, first }: { account: Account; first: boolean }) {
  const { act } = useAct();
  const [asking, setAsking] = useState(false);
  const { id, name } = account;
  const active = account.status === "ACTIVE";
  const change = (status: "ACTIVE" | "SUSPENDED", done: string) =>
    act(() => changeAccount({ id, status }), { stale: ["accounts"], done });
  return (
    <li className="grid grid-cols-[minmax(0,1fr)_auto] items-center gap-x-4 gap-y-1 px-4 py-3 md:grid-cols-[minmax(0,1fr)_9rem_7.5rem]">
      <div className="min-w-0">
        <p className="flex flex-wrap items-center gap-x-2 gap-y-1">
          <span className="min-w-0 break-words font-medium">{name}</span>
          {first ? <Badge tone="info">Runs this instance</Badge> : null}
          {active ? null : <Badge tone="bad">Suspended</Badge>}
        </p>
        <Copyable text={id} label={`the ID of ${name}`} className="text-muted" short />
      </div>
      <p className="text-muted text-xs max-md:row-start-2">
        Made <Ago at={account.createdAt} />
      </p>
      {first ? null : active ? (
        <Button onClick={() => setAsking(true)} aria-label={`Suspend ${name}`}>
          <Pause aria-hidden />
          Suspend
        </Button>
      ) : (
        <Button
          onClick={() => void change("ACTIVE", `“${name}” is active again.`)}
          aria-label={`Resume ${name}`}
        >
          <Play aria-hidden />
          Resume
        </Button>
      )}
      <Confirm
        open={asking}
        onOpenChange={setAsking}
        title={`Suspend “${name}”?`}
        action="Suspend account"
        onConfirm={async () => (await change("SUSPENDED", `“${name}” is suspended.`)) !== null}
      >
        <p>
          Its people are signed out and its keys are refused until it is resumed. Nothing of it is deleted,
          and its devices stay registered.
        </p>
      </Confirm>
    </li>
  );
}
