import { PageHeader } from "@/components/page-header";
import { LoadingRows } from "@/components/ui/panel";

export default function Loading() {
  return (
    <>
      <PageHeader title="Settings">What this account is called, and how its devices are treated.</PageHeader>
      <LoadingRows />
    </>
  );
}
