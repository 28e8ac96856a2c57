import { PageHeader } from "@/components/page-header";
import { Skeleton } from "@/components/ui/panel";

export default function Loading() {
  return (
    <>
      <PageHeader title="Overview" />
      <div aria-busy className="grid gap-4">
        <Skeleton className="h-24 rounded-lg" />
        <Skeleton className="h-80 rounded-lg" />
      </div>
    </>
  );
}
