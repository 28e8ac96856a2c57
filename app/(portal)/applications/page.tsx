import { HydrationBoundary } from "@tanstack/react-query";
import type { Metadata } from "next";
import { ApplicationList } from "@/components/applications/application-list";
import { CreateApplication } from "@/components/applications/create-application";
import { PageHeader } from "@/components/page-header";
import { prefetch } from "@/server/portal/prefetch";

export const metadata: Metadata = { title: "Applications" };

export default async function ApplicationsPage() {
  return (
    <HydrationBoundary state={await prefetch(["applications", {}])}>
      <PageHeader title="Applications" actions={<CreateApplication />}>
        Programs that work with your devices over the REST API, and the access keys they use.
      </PageHeader>
      <ApplicationList />
    </HydrationBoundary>
  );
}
