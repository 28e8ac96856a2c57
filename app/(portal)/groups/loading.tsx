import { PageHeader } from "@/components/page-header";
import { LoadingRows } from "@/components/ui/panel";

export default function Loading() {
  return (
    <>
      <PageHeader title="Groups">Devices under one name, for finding them here and over the API.</PageHeader>
      <LoadingRows />
    </>
  );
}
