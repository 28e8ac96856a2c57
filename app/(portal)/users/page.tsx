import { HydrationBoundary } from "@tanstack/react-query";
import type { Metadata } from "next";
import { PageHeader } from "@/components/page-header";
import { InviteUser } from "@/components/users/invite-user";
import { UserList } from "@/components/users/user-list";
import { prefetch } from "@/server/portal/prefetch";

export const metadata: Metadata = { title: "Users" };

export default async function UsersPage() {
  return (
    <HydrationBoundary state={await prefetch(["users", {}])}>
      <PageHeader title="Users" actions={<InviteUser />}>
        Who can sign in to this account.
      </PageHeader>
      <UserList />
    </HydrationBoundary>
  );
}
