import { PageHeader } from "@/components/page-header";
import { LoadingRows } from "@/components/ui/panel";

export default function Loading() {
  return (
    <>
      <PageHeader title="Audit log">
        Every change of this account: who made it, and what was before.
      </PageHeader>
      <LoadingRows />
    </>
  );
}
