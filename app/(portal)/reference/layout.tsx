import type { ReactNode } from "react";
import { ReferenceFrame } from "@/components/reference/frame";
import { reference } from "@/server/portal/reference/read";

export default function ReferenceLayout({ children }: { children: ReactNode }) {
  return <ReferenceFrame groups={reference().reference.groups}>{children}</ReferenceFrame>;
}
