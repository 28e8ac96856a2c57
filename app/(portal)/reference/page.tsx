import type { Metadata } from "next";
import { ReferenceIntro } from "@/components/reference/intro";
import { notServed } from "@/server/api/not-served";
import { origin, reference } from "@/server/portal/reference/read";

export const metadata: Metadata = { title: "API reference" };

export default async function ReferencePage() {
  return (
    <ReferenceIntro
      origin={await origin()}
      version={reference().reference.version}
      notServed={notServed.map(({ title, reason, operations }) => ({
        title,
        reason,
        operations: operations.map((operation) => {
          const [methods = "", path = ""] = operation.split(" ");
          return { methods: methods.split(","), path };
        }),
      }))}
    />
  );
}
