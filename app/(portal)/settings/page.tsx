import { HydrationBoundary } from "@tanstack/react-query";
import type { Metadata } from "next";
import { PageHeader } from "@/components/page-header";
import { Settings } from "@/components/settings/settings";
import { prefetch } from "@/server/portal/prefetch";

export const metadata: Metadata = { title: "Settings" };

export default async function SettingsPage() {
  return (
    <HydrationBoundary state={await prefetch(["settings", {}])}>
      <PageHeader title="Settings">What this account is called, and how its devices are treated.</PageHeader>
      <Settings />
    </HydrationBoundary>
  );
}
