import { HydrationBoundary } from "@tanstack/react-query";
import type { Metadata } from "next";
import { CertificateDialogs, CreateCertificateButton } from "@/components/certificates/certificate-dialogs";
import { CertificateList } from "@/components/certificates/certificate-list";
import { CliHint, PageHeader } from "@/components/page-header";
import { prefetch } from "@/server/portal/prefetch";

export const metadata: Metadata = { title: "Certificates" };

export default async function CertificatesPage() {
  const state = await prefetch(["certificates", {}], ["server", {}]);
  return (
    <HydrationBoundary state={state}>
      <CertificateDialogs>
        <PageHeader title="Developer certificates" actions={<CreateCertificateButton />}>
          A device proves with one of these that it is yours. One is enough for up to 100 devices while you
          develop.
        </PageHeader>
        <CertificateList />
      </CertificateDialogs>
      <CliHint
        commands={[
          {
            does: "make one and write its bundle",
            run: "npm run --silent gangway -- certs create NAME --out FILE.zip",
          },
          { does: "list them", run: "npm run --silent gangway -- certs list" },
        ]}
      />
    </HydrationBoundary>
  );
}
