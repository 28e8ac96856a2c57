"use client";
import { LoadError } from "@/components/load-error";

export default function PageError({ reset }: { error: Error; reset: () => void }) {
  return (
    <>
      <h1 className="sr-only">This page does not work</h1>
      <LoadError message="The page failed on this server. Its log says more." retry={reset} />
    </>
  );
}
