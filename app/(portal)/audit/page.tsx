import { HydrationBoundary } from "@tanstack/react-query";
import { Lock } from "lucide-react";
import type { Metadata } from "next";
import { createLoader, type SearchParams } from "nuqs/server";
import { AuditLog } from "@/components/audit/audit-log";
import { auditParams, auditQuery } from "@/components/audit/search-params";
import { PageHeader } from "@/components/page-header";
import { EmptyState, Panel } from "@/components/ui/panel";
import { prefetch } from "@/server/portal/prefetch";
import { requireUser } from "@/server/portal/session";

export const metadata: Metadata = { title: "Audit log" };

const load = createLoader(auditParams);

export default async function AuditPage({ searchParams }: { searchParams: Promise<SearchParams> }) {
  const header = (
    <PageHeader title="Audit log">Every change of this account: who made it, and what was before.</PageHeader>
  );
  if ((await requireUser()).role !== "administrator")
    return (
      <>
        {header}
        <Panel>
          <EmptyState icon={<Lock />} title="Only administrators read the audit log">
            What happens to devices is in their timelines.
          </EmptyState>
        </Panel>
      </>
    );
  const state = await prefetch(["audit", auditQuery(await load(searchParams))], ["auditFacets", {}]);
  return (
    <HydrationBoundary state={state}>
      {header}
      <AuditLog />
    </HydrationBoundary>
  );
}
