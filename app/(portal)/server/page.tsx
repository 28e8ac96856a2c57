import { HydrationBoundary } from "@tanstack/react-query";
import type { Metadata } from "next";
import { CliHint, PageHeader } from "@/components/page-header";
import { ServerFacts } from "@/components/server/server-facts";
import { prefetch } from "@/server/portal/prefetch";

export const metadata: Metadata = { title: "Server" };

export default async function ServerPage() {
  return (
    <HydrationBoundary state={await prefetch(["server", {}])}>
      <PageHeader title="Server">Where devices find this instance, and what they trust it by.</PageHeader>
      <ServerFacts />
      <CliHint commands={[{ does: "the server CA as PEM", run: "npm run --silent gangway -- ca show" }]} />
    </HydrationBoundary>
  );
}
