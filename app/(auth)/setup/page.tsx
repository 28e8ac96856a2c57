import { CircleSlash } from "lucide-react";
import type { Metadata } from "next";
import Link from "next/link";
import { SetupForm } from "@/components/auth/setup-form";
import { Button } from "@/components/ui/button";
import { EmptyState } from "@/components/ui/panel";
import { contextFor } from "@/server/portal/context";
import { checkSetupToken } from "@/server/services/instance/setup";

export const metadata: Metadata = { title: "Set up" };

export default async function SetupPage({
  searchParams,
}: {
  searchParams: Promise<Record<string, unknown>>;
}) {
  const { token } = await searchParams;
  if (typeof token === "string" && (await checkSetupToken(contextFor({ kind: "system" }), token)))
    return <SetupForm token={token} />;
  return (
    <>
      <h1 className="sr-only">Set up</h1>
      <EmptyState
        icon={<CircleSlash />}
        title="This set-up link does not work (any more)"
        action={
          <Button asChild variant="primary" size="md">
            <Link href="/login">Go to sign in</Link>
          </Button>
        }
      >
        It works once, and only the newest one does: look for it in the terminal where Gangway was started.
      </EmptyState>
    </>
  );
}
