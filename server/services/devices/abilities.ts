import type { ObjectLinks } from "@/server/lwm2m";
import { type Context, memberAccount } from "../context";
import { notFound, ServiceError } from "../errors";
import { readLinks } from "./links";

/** The resources behind what a person asks of a device as a whole; the last one is of Pelion's kind only. */
export const ABILITY_PATHS = {
  reboot: "/3/0/4",
  factoryReset: "/3/0/5",
  renewCertificate: "/35011/0/27002",
} as const;
export type Ability = keyof typeof ABILITY_PATHS;

/** Why each of them cannot be asked of the device now, as a sentence; null where it can. */
export type Abilities = Record<Ability, string | null>;

type Registered = { objectLinks: string; lwm2mVersion: string };

export function abilitiesOf(registration: Registered | null): Abilities {
  const links = registration && readLinks(registration);
  const reason = (ability: Ability) => {
    if (!registration) return "The device is not registered, so it cannot be asked.";
    return lacks(links, ability) ? `The device has no ${ABILITY_PATHS[ability]}.` : null;
  };
  return {
    reboot: reason("reboot"),
    factoryReset: reason("factoryReset"),
    renewCertificate: reason("renewCertificate"),
  };
}

function lacks(links: ObjectLinks | null, ability: Ability): boolean {
  const paths = links?.entries.map(({ path }) => path) ?? [];
  if (paths.includes(ABILITY_PATHS[ability])) return false;
  // A client that lists instances only has to be asked; every client of Pelion's kind lists its resources.
  return (
    ability === "renewCertificate" ||
    !paths.includes("/3/0") ||
    paths.some((path) => path.startsWith("/3/0/"))
  );
}

/** Ends with a conflict when a registered device is known to lack it; one that is not registered is the gateway's. */
export async function requireAbility(ctx: Context, id: string, ability: Ability): Promise<void> {
  const accountId = memberAccount(ctx.actor);
  const device = await ctx.db.device.findFirst({
    where: { id, accountId },
    select: { registration: { select: { objectLinks: true, lwm2mVersion: true } } },
  });
  if (!device) throw notFound("Device");
  const reason = device.registration && abilitiesOf(device.registration)[ability];
  if (reason) throw new ServiceError("conflict", reason);
}
