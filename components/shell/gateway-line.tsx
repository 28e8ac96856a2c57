"use client";
import Link from "next/link";
import { useLive } from "../live";
import { Dot } from "../status";
import { Tooltip } from "../ui/tooltip";
import { useData } from "../use-data";

/** Whether devices can come in, and whether this page is kept up to date. */
export function GatewayLine() {
  const live = useLive();
  const overview = useData("overview", {}, { everyMs: 15_000 });
  const up = overview.data ? overview.data.gateway !== null : null;
  const trouble = overview.data?.gateway?.storageTrouble;
  const [tone, text, why] = lineFor(live === "lost", up, trouble?.reason);
  return (
    <Tooltip content={why} side="top">
      <Link
        href="/server"
        className="flex h-8 items-center gap-2.5 rounded-md px-2 text-muted text-xs hover:bg-hover hover:text-ink"
      >
        <span className="grid size-4 place-items-center">
          <Dot tone={tone} shape={up === false ? "ring" : "full"} />
        </span>
        {text}
      </Link>
    </Tooltip>
  );
}

type Line = readonly [tone: "ok" | "warn" | "bad" | "idle", text: string, why: string];

function lineFor(lost: boolean, up: boolean | null, trouble: string | undefined): Line {
  if (lost)
    return [
      "warn",
      "Connection lost",
      "The portal does not answer. What you see may be out of date; it goes on by itself.",
    ];
  if (up === null)
    return ["idle", "Checking the gateway", "The gateway is the process that devices talk to."];
  if (!up)
    return ["bad", "Gateway is down", "No device can bootstrap or register until it is started again."];
  if (trouble) return ["bad", "Cannot store", `No device can bootstrap or register: ${trouble}.`];
  return ["ok", "Gateway is up", "Devices can bootstrap and register, and this page is live."];
}
