import type { Metadata } from "next";
import { notFound } from "next/navigation";
import { Operation } from "@/components/reference/operation";
import { operationFor, reference } from "@/server/portal/reference/read";
import { requireUser } from "@/server/portal/session";

type Props = { params: Promise<{ operation: string }> };

export async function generateMetadata({ params }: Props): Promise<Metadata> {
  const { operation } = await params;
  return {
    title:
      reference().reference.operations.get(operation)?.view.summary.replaceAll("`", "") ?? "API reference",
  };
}

export default async function OperationPage({ params }: Props) {
  const { operation } = await params;
  const found = await operationFor(await requireUser(), operation);
  if (!found) notFound();
  return <Operation operation={found.view} command={found.command} />;
}
