import { HydrationBoundary } from "@tanstack/react-query";
import type { Metadata } from "next";
import { CreateGroup } from "@/components/groups/create-group";
import { GroupList } from "@/components/groups/group-list";
import { PageHeader } from "@/components/page-header";
import { prefetch } from "@/server/portal/prefetch";

export const metadata: Metadata = { title: "Groups" };

export default async function GroupsPage() {
  return (
    <HydrationBoundary state={await prefetch(["groups", {}])}>
      <PageHeader title="Groups" actions={<CreateGroup />}>
        Devices under one name, for finding them here and over the API.
      </PageHeader>
      <GroupList />
    </HydrationBoundary>
  );
}
