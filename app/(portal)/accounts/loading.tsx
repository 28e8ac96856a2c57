import { PageHeader } from "@/components/page-header";
import { LoadingRows } from "@/components/ui/panel";

export default function Loading() {
  return (
    <>
      <PageHeader title="Accounts">
        Everybody who uses this instance on their own, apart from each other.
      </PageHeader>
      <LoadingRows />
    </>
  );
}
