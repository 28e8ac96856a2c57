import type { Metadata } from "next";
import Link from "next/link";
import { Logo } from "@/components/logo";
import { Button } from "@/components/ui/button";
import { EmptyState } from "@/components/ui/panel";

export const metadata: Metadata = { title: "Not found" };

export default function NotFound() {
  return (
    <main className="grid min-h-dvh place-items-center">
      <div>
        <div className="flex justify-center">
          <Logo />
        </div>
        <h1 className="sr-only">Not found</h1>
        <EmptyState
          title="There is nothing at this address"
          action={
            <Button asChild variant="primary" size="md">
              <Link href="/">Go to the overview</Link>
            </Button>
          }
        >
          The link may be old, or what it led to was deleted.
        </EmptyState>
      </div>
    </main>
  );
}
