import { Skeleton } from "@/components/ui/panel";

export default function Loading() {
  return (
    <div aria-busy className="grid gap-5">
      <h1 className="sr-only">Device</h1>
      <Skeleton className="h-4 w-20" />
      <Skeleton className="h-8 w-72 max-w-full" />
      <Skeleton className="h-36 rounded-lg" />
      <Skeleton className="h-10" />
      <Skeleton className="h-72 rounded-lg" />
    </div>
  );
}
