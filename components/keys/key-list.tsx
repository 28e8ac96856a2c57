"use client";
import { KeyRound, Trash2 } from "lucide-react";
import { deleteKey } from "@/app/actions";
import type { QueryOutput } from "@/server/portal/queries";
import { LoadError } from "../load-error";
import { Badge } from "../status";
import { Ago } from "../time";
import { Button } from "../ui/button";
import { Confirm } from "../ui/dialog";
import { EmptyState, LoadingRows, Panel } from "../ui/panel";
import { useAct } from "../use-act";
import { useData } from "../use-data";
import { CreateKeyButton } from "./create-key";

export function KeyList() {
  const { data, error, refetch } = useData("keys", {});
  if (error && !data) return <LoadError message={error.message} retry={() => void refetch()} />;
  if (!data) return <LoadingRows />;
  if (data.length === 0)
    return (
      <Panel>
        <EmptyState
          icon={<KeyRound />}
          title="No API key yet"
          action={<CreateKeyButton label="Make the first key" />}
        >
          People sign in with their password; programs use keys.
        </EmptyState>
      </Panel>
    );
  return (
    <Panel>
      <ul className="divide-y divide-line">
        {data.map((key) => (
          <Item key={key.id} item={key} />
        ))}
      </ul>
    </Panel>
  );
}

function Item({ item }: { item: QueryOutput<"keys">[number] }) {
  const { act } = useAct();
  return (
    <li className="grid grid-cols-[minmax(0,1fr)_auto] items-center gap-x-4 gap-y-1 px-4 py-3 md:grid-cols-[minmax(0,1fr)_9rem_11rem_auto]">
      <div className="min-w-0">
        <p className="flex items-center gap-2">
          <span className="truncate font-medium">{item.name}</span>
          {item.status === "ACTIVE" ? null : <Badge tone="bad">{item.status.toLowerCase()}</Badge>}
        </p>
        <p className="truncate font-mono text-muted text-xs">{item.prefix}…</p>
      </div>
      <p className="text-muted text-xs max-md:row-start-2">
        {item.lastUsedAt ? (
          <>
            Used <Ago at={item.lastUsedAt} />
          </>
        ) : (
          "Never used"
        )}
      </p>
      <p className="text-muted text-xs max-md:hidden">
        Made <Ago at={item.createdAt} />
      </p>
      <Confirm
        trigger={
          <Button variant="ghost" size="icon" aria-label={`Delete the key ${item.name}`}>
            <Trash2 aria-hidden />
          </Button>
        }
        title={`Delete the key “${item.name}”?`}
        action="Delete key"
        onConfirm={async () =>
          (await act(() => deleteKey({ id: item.id }), {
            stale: ["keys"],
            done: `Key “${item.name}” is deleted.`,
          })) !== null
        }
      >
        <p>
          Programs that use it are refused from this moment on.{" "}
          {item.lastUsedAt ? (
            <>
              It was last used <Ago at={item.lastUsedAt} />.
            </>
          ) : (
            "It was never used."
          )}
        </p>
      </Confirm>
    </li>
  );
}
