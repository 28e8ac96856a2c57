import { HydrationBoundary } from "@tanstack/react-query";
import type { Metadata } from "next";
import { ChannelList } from "@/components/notifications/channel-list";
import { PageHeader } from "@/components/page-header";
import { prefetch } from "@/server/portal/prefetch";
import { origin } from "@/server/portal/reference/read";

export const metadata: Metadata = { title: "Notifications" };

export default async function NotificationsPage() {
  return (
    <HydrationBoundary state={await prefetch(["channels", {}])}>
      <PageHeader title="Notifications">
        How programs are told of registrations, values and answers.
      </PageHeader>
      <ChannelList origin={await origin()} />
    </HydrationBoundary>
  );
}
