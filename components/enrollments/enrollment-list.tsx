"use client";
import { ClipboardList, Trash2 } from "lucide-react";
import Link from "next/link";
import { giveUpClaim } from "@/app/actions";
import type { QueryOutput } from "@/server/portal/queries";
import { LoadError } from "../load-error";
import { ShowOlder } from "../show-older";
import { Badge } from "../status";
import { Ago } from "../time";
import { Button } from "../ui/button";
import { CopyButton } from "../ui/copy";
import { Confirm } from "../ui/dialog";
import { EmptyState, LoadingRows, Panel } from "../ui/panel";
import { useAct } from "../use-act";
import { useEnrollments } from "../use-data";
import { AddEnrollmentButtons } from "./add-enrollments";

type Enrollment = QueryOutput<"enrollments">["rows"][number];

export function EnrollmentList() {
  const query = useEnrollments();
  const { rows, error, refetch } = query;
  if (error && !rows) return <LoadError message={error.message} retry={() => void refetch()} />;
  if (!rows) return <LoadingRows />;
  if (rows.length === 0)
    return (
      <Panel>
        <EmptyState
          icon={<ClipboardList />}
          title="No device is claimed"
          action={
            <div className="flex flex-wrap justify-center gap-2">
              <AddEnrollmentButtons />
            </div>
          }
        >
          Devices in production may leave the factory before anybody knows whose they will be. Whoever has the
          enrollment identity of such a device claims it here; when it comes, it belongs to this account. The
          account has to trust the maker’s CA.
        </EmptyState>
      </Panel>
    );
  return (
    <div className="grid grid-cols-1 gap-4">
      <Panel>
        <ul aria-label="Claimed devices" className="divide-y divide-line">
          {rows.map((enrollment) => (
            <Item key={enrollment.id} enrollment={enrollment} />
          ))}
        </ul>
      </Panel>
      <ShowOlder query={query} />
    </div>
  );
}

function Item({ enrollment }: { enrollment: Enrollment }) {
  const { act } = useAct();
  const { identity, claimedAt, deviceId } = enrollment;
  const short = `${identity.slice(0, 13)}…${identity.slice(-11)}`;
  return (
    <li className="grid grid-cols-[minmax(0,1fr)_auto] items-center gap-x-4 gap-y-1 px-4 py-2.5 md:grid-cols-[minmax(0,1fr)_13rem_2rem]">
      <p className="flex min-w-0 items-center gap-1">
        <span className="min-w-0 truncate font-mono text-xs" title={identity}>
          {identity}
        </span>
        <CopyButton text={identity} label={`Copy the identity ${short}`} />
      </p>
      <p className="flex flex-wrap items-center gap-x-2 text-muted text-xs max-md:row-start-2">
        {claimedAt ? (
          <>
            <Badge tone="ok">Came</Badge>
            {deviceId ? (
              <Link href={`/devices/${deviceId}`} className="rounded text-accent hover:underline">
                <Ago at={claimedAt} />
              </Link>
            ) : (
              <Ago at={claimedAt} />
            )}
          </>
        ) : (
          <>
            <Badge tone="warn">Awaited</Badge>
            <span>
              ends <Ago at={enrollment.expiresAt} />
            </span>
          </>
        )}
      </p>
      <Confirm
        trigger={
          <Button variant="ghost" size="icon" aria-label={`Give up the claim on ${short}`}>
            <Trash2 aria-hidden />
          </Button>
        }
        title="Give up this claim?"
        action="Give it up"
        onConfirm={async () =>
          (await act(() => giveUpClaim({ id: enrollment.id }), {
            stale: ["enrollments"],
            done: "The claim is given up.",
          })) !== null
        }
      >
        <p className="break-all font-mono text-xs">{identity}</p>
        <p>
          {claimedAt
            ? "The device stays in the directory. Once it is reset, whoever claims it next can have it."
            : "When the device comes it is turned away, unless somebody claims it by then."}
        </p>
      </Confirm>
    </li>
  );
}
