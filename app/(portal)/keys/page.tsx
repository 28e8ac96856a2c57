import { HydrationBoundary } from "@tanstack/react-query";
import type { Metadata } from "next";
import { CreateKey, CreateKeyButton } from "@/components/keys/create-key";
import { KeyList } from "@/components/keys/key-list";
import { CliHint, PageHeader } from "@/components/page-header";
import { prefetch } from "@/server/portal/prefetch";

export const metadata: Metadata = { title: "API keys" };

export default async function KeysPage() {
  return (
    <HydrationBoundary state={await prefetch(["keys", {}])}>
      <CreateKey>
        <PageHeader title="API keys" actions={<CreateKeyButton />}>
          A program signs in with one of these, and may do as much as you let it.
        </PageHeader>
        <KeyList />
      </CreateKey>
      <CliHint
        commands={[
          {
            does: "make one; it prints the key and nothing else",
            run: "npm run --silent gangway -- keys create NAME",
          },
          { does: "list them", run: "npm run --silent gangway -- keys list" },
        ]}
      />
    </HydrationBoundary>
  );
}
