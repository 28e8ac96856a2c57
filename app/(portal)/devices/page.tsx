import { HydrationBoundary } from "@tanstack/react-query";
import type { Metadata } from "next";
import { createLoader, type SearchParams } from "nuqs/server";
import { DeviceList } from "@/components/devices/device-list";
import { devicesParams, devicesQuery } from "@/components/devices/search-params";
import { CliHint, PageHeader } from "@/components/page-header";
import { prefetch } from "@/server/portal/prefetch";

export const metadata: Metadata = { title: "Devices" };

const load = createLoader(devicesParams);

export default async function DevicesPage({ searchParams }: { searchParams: Promise<SearchParams> }) {
  const state = await prefetch(["devices", devicesQuery(await load(searchParams))], ["groups", {}]);
  return (
    <HydrationBoundary state={state}>
      <PageHeader title="Devices">
        Every device that has ever bootstrapped with one of your certificates. The list changes by itself.
      </PageHeader>
      <DeviceList />
      <CliHint
        commands={[{ does: "all devices as JSON", run: "npm run --silent gangway -- devices list --json" }]}
      />
    </HydrationBoundary>
  );
}
