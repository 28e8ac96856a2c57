import { PageHeader } from "@/components/page-header";
import { LoadingRows } from "@/components/ui/panel";

export default function Loading() {
  return (
    <>
      <PageHeader title="Server">Where devices find this instance, and what they trust it by.</PageHeader>
      <LoadingRows />
    </>
  );
}
