import { HydrationBoundary } from "@tanstack/react-query";
import type { Metadata } from "next";
import { CertificateDialogs } from "@/components/certificates/certificate-dialogs";
import { OverviewPage } from "@/components/overview/overview";
import { prefetch } from "@/server/portal/prefetch";

export const metadata: Metadata = { title: "Overview" };

export default async function Page() {
  const state = await prefetch(["overview", {}], ["certificates", {}], ["server", {}]);
  return (
    <HydrationBoundary state={state}>
      <CertificateDialogs>
        <OverviewPage />
      </CertificateDialogs>
    </HydrationBoundary>
  );
}
