"use client";
import { DatabaseZap } from "lucide-react";
import { Ago } from "../time";
import { Notice } from "../ui/panel";
import { useData } from "../use-data";

/** Says on every page that nothing can be stored, for as long as it is so. */
export function StorageNotice() {
  const { data } = useData("overview", {}, { everyMs: 15_000 });
  const trouble = data?.gateway?.storageTrouble;
  return (
    <div role="alert">
      {trouble ? (
        <Notice tone="bad" icon={<DatabaseZap aria-hidden />} className="mb-5">
          <strong className="font-semibold">Nothing can be stored: {trouble.reason}.</strong> This began{" "}
          <Ago at={trouble.since} />. Devices are told to come again within a minute, and go on by themselves
          when it is over. Check the disk that holds Gangway's data folder.
        </Notice>
      ) : null}
    </div>
  );
}
