import { PageHeader } from "@/components/page-header";
import { LoadingRows } from "@/components/ui/panel";

export default function Loading() {
  return (
    <>
      <PageHeader title="Applications">
        Programs that work with your devices over the REST API, and the access keys they use.
      </PageHeader>
      <LoadingRows />
    </>
  );
}
