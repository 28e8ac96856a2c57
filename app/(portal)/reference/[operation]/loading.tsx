import { Skeleton } from "@/components/ui/panel";

export default function Loading() {
  return (
    <div aria-busy className="grid gap-5">
      <h1 className="sr-only">Operation</h1>
      <Skeleton className="h-14 w-80 max-w-full" />
      <Skeleton className="h-20 rounded-md" />
      <Skeleton className="h-64 rounded-lg" />
    </div>
  );
}
