import { CircleSlash } from "lucide-react";
import type { Metadata } from "next";
import Link from "next/link";
import { InvitationForm } from "@/components/auth/invitation-form";
import { Button } from "@/components/ui/button";
import { EmptyState } from "@/components/ui/panel";
import { contextFor } from "@/server/portal/context";
import { checkInvitation } from "@/server/services/users/invitations";

export const metadata: Metadata = { title: "Invitation" };

export default async function InvitationPage({
  searchParams,
}: {
  searchParams: Promise<Record<string, unknown>>;
}) {
  const { token } = await searchParams;
  const invited =
    typeof token === "string" ? await checkInvitation(contextFor({ kind: "system" }), token) : null;
  if (invited && typeof token === "string") return <InvitationForm token={token} {...invited} />;
  return (
    <>
      <h1 className="sr-only">Invitation</h1>
      <EmptyState
        icon={<CircleSlash />}
        title="This invitation does not work (any more)"
        action={
          <Button asChild variant="primary" size="md">
            <Link href="/login">Go to sign in</Link>
          </Button>
        }
      >
        It works once, for a limited time. Ask an administrator of the account for another one.
      </EmptyState>
    </>
  );
}
