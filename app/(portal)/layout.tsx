import { HydrationBoundary } from "@tanstack/react-query";
import type { ReactNode } from "react";
import { Shell } from "@/components/shell/shell";
import { ViewerProvider } from "@/components/viewer";
import { prefetch } from "@/server/portal/prefetch";
import { requireUser } from "@/server/portal/session";
import { contextOf } from "@/server/portal/session-user";
import { getAccount } from "@/server/services/accounts/get";
import { seesInstance } from "@/server/services/instance/operator";

export default async function PortalLayout({ children }: { children: ReactNode }) {
  const user = await requireUser();
  const ctx = contextOf(user);
  const [account, runsInstance, state] = await Promise.all([
    getAccount(ctx),
    seesInstance(ctx),
    prefetch(["overview", {}]),
  ]);
  const viewer = { id: user.id, administrator: user.role === "administrator", runsInstance };
  return (
    <HydrationBoundary state={state}>
      <ViewerProvider viewer={viewer}>
        <Shell user={{ name: user.name, email: user.email, account: account.name }}>{children}</Shell>
      </ViewerProvider>
    </HydrationBoundary>
  );
}
