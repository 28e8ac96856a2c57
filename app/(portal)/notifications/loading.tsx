import { PageHeader } from "@/components/page-header";
import { LoadingRows } from "@/components/ui/panel";

export default function Loading() {
  return (
    <>
      <PageHeader title="Notifications">
        How programs are told of registrations, values and answers.
      </PageHeader>
      <LoadingRows />
    </>
  );
}
