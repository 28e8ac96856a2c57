"use client";
import { CloudOff } from "lucide-react";
import { Button } from "./ui/button";
import { EmptyState } from "./ui/panel";

/** What stands where data should be when it could not be read. */
export function LoadError({ message, retry }: { message: string; retry: () => void }) {
  return (
    <div role="alert">
      <EmptyState
        icon={<CloudOff />}
        title="This could not be loaded"
        action={
          <Button variant="primary" size="md" onClick={retry}>
            Try again
          </Button>
        }
      >
        {message}
      </EmptyState>
    </div>
  );
}
