import { PageHeader } from "@/components/page-header";
import { LoadingRows } from "@/components/ui/panel";

export default function Loading() {
  return (
    <>
      <PageHeader title="Users">Who can sign in to this account.</PageHeader>
      <LoadingRows />
    </>
  );
}
