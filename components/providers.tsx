"use client";
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { ThemeProvider } from "next-themes";
import { NuqsAdapter } from "nuqs/adapters/next/app";
import { type ReactNode, useState } from "react";
import { Toaster } from "sonner";
import { NowProvider } from "./time";
import { TooltipProvider } from "./ui/tooltip";
import { DataError } from "./use-data";

function createClient(): QueryClient {
  return new QueryClient({
    defaultOptions: {
      queries: {
        // What changes is told by the live stream; polling would only add load.
        staleTime: 60_000,
        retry: (count, error) =>
          count < 2 && error instanceof DataError && error.failure.code === "unavailable",
      },
    },
  });
}

export function Providers({
  now,
  nonce,
  children,
}: {
  now: number;
  nonce: string | undefined;
  children: ReactNode;
}) {
  const [client] = useState(createClient);
  return (
    <ThemeProvider
      attribute="class"
      defaultTheme="system"
      enableSystem
      disableTransitionOnChange
      nonce={nonce}
    >
      <NuqsAdapter>
        <QueryClientProvider client={client}>
          <NowProvider now={now}>
            <TooltipProvider delayDuration={250}>{children}</TooltipProvider>
          </NowProvider>
          <Toaster
            position="bottom-right"
            toastOptions={{
              classNames: {
                toast: "!rounded-lg !border-line !bg-surface !text-ink !text-sm !shadow-float !font-sans",
                description: "!text-muted",
                success: "[&_[data-icon]]:text-ok",
                info: "[&_[data-icon]]:text-accent",
                error: "[&_[data-icon]]:text-bad",
              },
            }}
          />
        </QueryClientProvider>
      </NuqsAdapter>
    </ThemeProvider>
  );
}
