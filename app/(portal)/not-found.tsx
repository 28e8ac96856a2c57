import { CircleSlash } from "lucide-react";
import Link from "next/link";
import { Button } from "@/components/ui/button";
import { EmptyState } from "@/components/ui/panel";

export default function NotFound() {
  return (
    <>
      <h1 className="sr-only">Not found</h1>
      <EmptyState
        icon={<CircleSlash />}
        title="This is not in your account"
        action={
          <Button asChild variant="primary" size="md">
            <Link href="/devices">Go to the devices</Link>
          </Button>
        }
      >
        It was deleted, or it never was here.
      </EmptyState>
    </>
  );
}
