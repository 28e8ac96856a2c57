import { HydrationBoundary } from "@tanstack/react-query";
import type { ReactNode } from "react";
import { Shell } from "@/components/shell/shell";
import { prefetch } from "@/server/portal/prefetch";
import { requireUser } from "@/server/portal/session";
import { contextOf } from "@/server/portal/session-user";
import { getAccount } from "@/server/services/accounts/get";

export default async function PortalLayout({ children }: { children: ReactNode }) {
  const user = await requireUser();
  const [account, state] = await Promise.all([getAccount(contextOf(user)), prefetch(["overview", {}])]);
  return (
    <HydrationBoundary state={state}>
      <Shell user={{ name: user.name, email: user.email, account: account.name }}>{children}</Shell>
    </HydrationBoundary>
  );
}
