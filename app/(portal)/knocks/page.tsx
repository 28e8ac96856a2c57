import { HydrationBoundary } from "@tanstack/react-query";
import type { Metadata } from "next";
import { KnockList } from "@/components/knocks/knock-list";
import { PageHeader } from "@/components/page-header";
import { prefetch } from "@/server/portal/prefetch";

export const metadata: Metadata = { title: "Knocks" };

export default async function KnocksPage() {
  return (
    <HydrationBoundary state={await prefetch(["events", { knocks: true }])}>
      <PageHeader title="Knocks">Devices that came to the door and were not let in, and why.</PageHeader>
      <KnockList />
    </HydrationBoundary>
  );
}
