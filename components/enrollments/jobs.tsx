"use client";
import { useQueryClient } from "@tanstack/react-query";
import { Download } from "lucide-react";
import { useEffect, useRef } from "react";
import type { QueryOutput } from "@/server/portal/queries";
import { plural } from "../format";
import { Badge } from "../status";
import { Ago } from "../time";
import { Button } from "../ui/button";
import { Panel } from "../ui/panel";
import { useData } from "../use-data";

type Job = QueryOutput<"enrollmentJobs">[number];

const WATCHED_MS = 1_000;

/** Lists that were uploaded: how far they are, and what came of them. */
export function EnrollmentJobs() {
  const client = useQueryClient();
  const { data } = useData("enrollmentJobs", {}, { everyMs: WATCHED_MS, everyWhile: isUnderWay });
  const done = data?.flatMap(({ id, status }) => (status === "completed" ? [id] : [])).join(" ");
  const before = useRef(done);
  useEffect(() => {
    // What a list claimed or gave up is on the page below when it is done.
    if (done !== before.current) void client.invalidateQueries({ queryKey: ["enrollments"] });
    before.current = done;
  }, [done, client]);
  if (!data || data.length === 0) return null;
  return (
    <Panel title="Lists" description="Reports are kept for 30 days.">
      <ul className="divide-y divide-line">
        {data.map((job) => (
          <Item key={job.id} job={job} />
        ))}
      </ul>
    </Panel>
  );
}

const isUnderWay = (jobs: Job[] | undefined) => Boolean(jobs?.some(({ status }) => status !== "completed"));

function Item({ job }: { job: Job }) {
  const done = job.status === "completed";
  const good = job.processed - job.errors;
  const report = (which: "full" | "errors") => `/enrollments/lists/${job.id}/${which}?kind=${job.kind}`;
  return (
    <li className="flex flex-wrap items-center justify-between gap-x-6 gap-y-2 px-4 py-3 text-sm">
      <div className="min-w-0 flex-1 basis-64">
        <p className="flex flex-wrap items-center gap-x-2">
          <span className="font-medium">{job.kind === "upload" ? "Claim" : "Give up"}</span>
          <span className="tabular">{plural(job.total, "identity", "identities")}</span>
          {done ? (
            job.errors > 0 ? (
              <Badge tone="warn">{plural(job.errors, "error")}</Badge>
            ) : (
              <Badge tone="ok">Done</Badge>
            )
          ) : (
            <Badge tone="info">{job.status === "new" ? "Waiting" : "Under way"}</Badge>
          )}
        </p>
        {done ? (
          <p className="text-muted text-xs">
            {good.toLocaleString("en")} {job.kind === "upload" ? "claimed" : "given up"},{" "}
            <Ago at={job.completedAt ?? job.createdAt} />
          </p>
        ) : (
          <progress
            aria-label="How far the list is gone through"
            value={job.processed}
            max={Math.max(1, job.total)}
            className="mt-1.5 block h-1.5 w-full max-w-md overflow-hidden rounded-full bg-sunken accent-accent [&::-webkit-progress-bar]:bg-sunken [&::-webkit-progress-value]:bg-accent"
          />
        )}
      </div>
      {done ? (
        <div className="flex gap-2">
          {job.errors > 0 ? (
            <Button asChild size="xs">
              <a href={report("errors")} download>
                <Download aria-hidden />
                Errors
              </a>
            </Button>
          ) : null}
          <Button asChild size="xs">
            <a href={report("full")} download>
              <Download aria-hidden />
              Report
            </a>
          </Button>
        </div>
      ) : null}
    </li>
  );
}
