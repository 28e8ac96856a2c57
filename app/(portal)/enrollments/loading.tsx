import { PageHeader } from "@/components/page-header";
import { LoadingRows } from "@/components/ui/panel";

export default function Loading() {
  return (
    <>
      <PageHeader title="Enrollments">
        Devices that this account claims as its own before they come.
      </PageHeader>
      <LoadingRows />
    </>
  );
}
