import { HydrationBoundary } from "@tanstack/react-query";
import type { Metadata } from "next";
import { notFound } from "next/navigation";
import { DevicePage } from "@/components/device/device-page";
import { isServiceError } from "@/server/portal/errors";
import { prefetch } from "@/server/portal/prefetch";
import { requireUser } from "@/server/portal/session";
import { contextOf } from "@/server/portal/session-user";
import { getDevice } from "@/server/services/devices/get";

type Props = { params: Promise<{ id: string }> };

/** A device of another account is as absent as one that never was. */
async function orNotFound<T>(promise: Promise<T>): Promise<T> {
  try {
    return await promise;
  } catch (error) {
    if (isServiceError(error) && (error.code === "not_found" || error.code === "validation_error"))
      notFound();
    throw error;
  }
}

export async function generateMetadata({ params }: Props): Promise<Metadata> {
  const device = await getDevice(contextOf(await requireUser()), await params).catch(() => null);
  return { title: device ? device.name || device.endpointName : "Device" };
}

export default async function Page({ params }: Props) {
  const { id } = await params;
  if (!/^[0-9a-f]{32}$/.test(id)) notFound();
  const state = await orNotFound(
    prefetch(["device", { id }], ["resources", { id }], ["events", { deviceId: id }], ["groups", {}]),
  );
  return (
    <HydrationBoundary state={state}>
      <DevicePage id={id} />
    </HydrationBoundary>
  );
}
