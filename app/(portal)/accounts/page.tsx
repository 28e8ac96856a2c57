import { HydrationBoundary } from "@tanstack/react-query";
import type { Metadata } from "next";
import { notFound } from "next/navigation";
import { AccountList } from "@/components/accounts/account-list";
import { CreateAccount } from "@/components/accounts/create-account";
import { CliHint, PageHeader } from "@/components/page-header";
import { prefetch } from "@/server/portal/prefetch";
import { requireUser } from "@/server/portal/session";
import { contextOf } from "@/server/portal/session-user";
import { seesInstance } from "@/server/services/instance/operator";

export const metadata: Metadata = { title: "Accounts" };

export default async function AccountsPage() {
  if (!(await seesInstance(contextOf(await requireUser())))) notFound();
  return (
    <HydrationBoundary state={await prefetch(["accounts", {}])}>
      <PageHeader title="Accounts" actions={<CreateAccount />}>
        Everybody who uses this instance on their own, apart from each other.
      </PageHeader>
      <AccountList />
      <CliHint
        commands={[
          {
            does: "make one; it prints the password of its administrator",
            run: "npm run --silent gangway -- accounts create NAME --admin EMAIL",
          },
          { does: "list them", run: "npm run --silent gangway -- accounts list" },
        ]}
      />
    </HydrationBoundary>
  );
}
