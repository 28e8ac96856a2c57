import type { GatewayRequests } from "@/server/bus/messages";
import { type Context, memberAccount } from "../context";
import { type DeviceState, deviceStates } from "../devices/view";
import { eventSelect, eventView, knockCategories } from "../events/list";
import type { EventView } from "../events/types";
import { seesInstance } from "../instance/operator";

const DAY_MS = 86_400_000;
/** How long ahead an expiry is worth a line. */
const EXPIRY_WARNING_MS = 30 * DAY_MS;
/** A page waits no longer than this for the gateway. */
const PING_MS = 2_000;

/** What the first page shows. */
export interface Overview {
  counts: Record<DeviceState, number>;
  total: number;
  /** Registered, and the registration has not run out. */
  online: number;
  recentEvents: EventView[];
  /** Strangers turned away within a day. */
  knocks24h: number;
  expiringCertificates: { id: string; name: string; notAfter: Date }[];
  /** Devices whose LwM2M certificate runs out within thirty days. */
  expiringDevices: number;
  certificates: number;
  /** Null: the gateway does not answer. */
  gateway: GatewayRequests["ping"]["output"] | null;
}

/** The account at a glance. */
export async function getOverview(ctx: Context): Promise<Overview> {
  const accountId = memberAccount(ctx.actor);
  const now = ctx.clock.now();
  const dayAgo = now - DAY_MS;
  const soon = new Date(now + EXPIRY_WARNING_MS);
  const nobodys = await seesInstance(ctx);
  const [byState, online, recent, knocks24h, expiringCertificates, expiringDevices, certificates, gateway] =
    await Promise.all([
      ctx.db.device.groupBy({ by: ["state"], where: { accountId }, _count: true }),
      ctx.db.device.count({
        where: { accountId, state: "registered", registration: { expiresAt: { gt: new Date(now) } } },
      }),
      ctx.db.deviceEvent.findMany({
        where: { accountId },
        orderBy: { id: "desc" },
        take: 20,
        select: eventSelect,
      }),
      ctx.db.deviceEvent.count({
        where: {
          ...(nobodys ? { OR: [{ accountId }, { accountId: null }] } : { accountId }),
          deviceId: null,
          category: { in: [...knockCategories] },
          // Ids begin with their time, which the index knows.
          id: { gte: dayAgo.toString(16).padStart(12, "0") },
          at: { gte: new Date(dayAgo) },
        },
      }),
      ctx.db.trustedCertificate.findMany({
        where: { accountId, notAfter: { lt: soon } },
        orderBy: { notAfter: "asc" },
        select: { id: true, name: true, notAfter: true },
      }),
      ctx.db.device.count({ where: { accountId, connectorExpirationDate: { lt: soon } } }),
      ctx.db.trustedCertificate.count({ where: { accountId } }),
      ping(ctx),
    ]);
  const counts = Object.fromEntries(deviceStates.map((state) => [state, 0])) as Record<DeviceState, number>;
  for (const group of byState) counts[group.state as DeviceState] = group._count;
  return {
    counts,
    total: Object.values(counts).reduce((sum, count) => sum + count, 0),
    online,
    recentEvents: recent.map(eventView),
    knocks24h,
    expiringCertificates,
    expiringDevices,
    certificates,
    gateway,
  };
}

/** Asks the gateway how it is; null when it is down or slow. */
export async function ping(
  ctx: Pick<Context, "bus" | "clock">,
): Promise<GatewayRequests["ping"]["output"] | null> {
  return new Promise((resolve) => {
    const timer = ctx.clock.after(PING_MS, () => resolve(null));
    ctx.bus.request("ping", {}).then(
      (answer) => {
        timer.cancel();
        resolve(answer);
      },
      () => {
        timer.cancel();
        resolve(null);
      },
    );
  });
}
