import { PageHeader } from "@/components/page-header";
import { LoadingRows } from "@/components/ui/panel";

export default function Loading() {
  return (
    <>
      <PageHeader title="Developer certificates">
        A device proves with one of these that it is yours. One is enough for up to 100 devices while you
        develop.
      </PageHeader>
      <LoadingRows />
    </>
  );
}
