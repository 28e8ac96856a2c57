import { PageHeader } from "@/components/page-header";
import { LoadingRows } from "@/components/ui/panel";

export default function Loading() {
  return (
    <>
      <PageHeader title="Knocks">Devices that came to the door and were not let in, and why.</PageHeader>
      <LoadingRows />
    </>
  );
}
