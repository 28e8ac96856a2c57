import { z } from "zod";
import { type PresentedNode, presentedNodes } from "@/server/lwm2m";
import { type Context, memberAccount } from "../context";
import { ServiceError } from "../errors";
import { idInput, validate } from "../validate";
import { readLinks } from "./links";

/** A registered device, as Connect lists it. */
export interface Endpoint {
  id: string;
  endpointType: string;
  queueMode: boolean;
}

export const listEndpointsInput = z.object({ endpointType: z.string().max(64).optional() });

/** The devices of the account that are registered now, in the order in which they were made. */
export async function listEndpoints(
  ctx: Context,
  input: z.input<typeof listEndpointsInput> = {},
): Promise<Endpoint[]> {
  const accountId = memberAccount(ctx.actor);
  const { endpointType } = validate(listEndpointsInput, input);
  const rows = await ctx.db.registration.findMany({
    where: {
      accountId,
      expiresAt: { gt: new Date(ctx.clock.now()) },
      ...(endpointType !== undefined && { device: { endpointType } }),
    },
    orderBy: { deviceId: "asc" },
    select: { deviceId: true, queueMode: true, device: { select: { endpointType: true } } },
  });
  return rows.map(({ deviceId, queueMode, device }) => ({
    id: deviceId,
    endpointType: device.endpointType,
    queueMode,
  }));
}

export const listEndpointResourcesInput = idInput;

/** What a registered device presented at its registration, or surely has; it is not asked. */
export async function listEndpointResources(
  ctx: Context,
  input: z.input<typeof listEndpointResourcesInput>,
): Promise<PresentedNode[]> {
  const accountId = memberAccount(ctx.actor);
  const { id } = validate(listEndpointResourcesInput, input);
  const device = await ctx.db.device.findFirst({
    where: { id, accountId },
    select: {
      registration: { select: { objectLinks: true, lwm2mVersion: true, expiresAt: true } },
      values: { select: { path: true } },
    },
  });
  const registration = device?.registration;
  if (!registration || registration.expiresAt.getTime() <= ctx.clock.now())
    throw new ServiceError("not_found", "The device is not registered.");
  const links = readLinks(registration);
  return links
    ? presentedNodes(
        links,
        device.values.map(({ path }) => path),
      )
    : [];
}
