import { PageHeader } from "@/components/page-header";
import { LoadingRows } from "@/components/ui/panel";

export default function Loading() {
  return (
    <>
      <PageHeader title="API keys">
        A program signs in with one of these, and may do as much as you let it.
      </PageHeader>
      <LoadingRows />
    </>
  );
}
