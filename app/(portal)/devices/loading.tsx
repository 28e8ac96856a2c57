import { PageHeader } from "@/components/page-header";
import { Panel, Skeleton } from "@/components/ui/panel";

export default function Loading() {
  return (
    <>
      <PageHeader title="Devices">
        Every device that has ever bootstrapped with one of your certificates. The list changes by itself.
      </PageHeader>
      <div className="mb-3 flex gap-3">
        <Skeleton className="h-9 w-72" />
        <Skeleton className="h-8 w-96 max-w-full" />
      </div>
      <Panel aria-busy>
        <div className="grid gap-4 p-4">
          {["a", "b", "c", "d", "e", "f", "g", "h"].map((row) => (
            <Skeleton key={row} className="h-9" />
          ))}
        </div>
      </Panel>
    </>
  );
}
