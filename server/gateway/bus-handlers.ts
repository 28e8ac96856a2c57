import type { BusHandlers } from "@/server/bus";
import type { GroupCommit, PrismaClient } from "@/server/db";
import type { Peer } from "@/server/transport";
import { identityOf } from "./identity";
import type { Listeners } from "./listeners";
import type { Parts } from "./parts";

const isOf = (deviceId: string) => (peer: Peer) => {
  const identity = identityOf(peer);
  return identity?.kind === "lwm2m" && identity.deviceId === deviceId;
};

/** Takes up what was deleted from the directory, also while the gateway was not running. */
export async function takeRemovals(
  { registrations, turns }: Pick<Parts, "registrations" | "turns">,
  listeners: Listeners,
  db: PrismaClient,
): Promise<void> {
  const removals = await db.deviceRemoval.findMany({
    orderBy: { createdAt: "asc" },
    select: { deviceId: true },
  });
  for (const { deviceId } of removals)
    await turns.run(deviceId, async (turn) => {
      // Another call may have taken it up meanwhile.
      const removal = await db.deviceRemoval.findUnique({ where: { deviceId } });
      if (!removal) return;
      const { follow } = await registrations.remove(turn, removal);
      follow();
      listeners.endSessions(isOf(deviceId));
    });
}

/** What the portal asks of the gateway. */
export function busHandlers(
  parts: Parts,
  listeners: Listeners,
  { db, commit, startedAt }: { db: PrismaClient; commit: GroupCommit; startedAt: number },
): BusHandlers {
  const { accounts, directory, notifier, operations, registration, requests } = parts;
  const { subscriptions, trust } = parts;
  return {
    ping: () => ({
      pid: process.pid,
      startedAt,
      registrations: directory.registrationCount,
      peers: [...listeners.peers()].length,
      listeners: listeners.addresses.map(({ service, uri }) => ({ service, uri })),
      storageTrouble: commit.trouble,
    }),
    "trust.reload": async () => {
      const gone = new Set(await trust.load());
      listeners.endSessions((peer) => {
        const identity = identityOf(peer);
        const caId = identity?.kind === "lwm2m" ? directory.byId(identity.deviceId)?.caId : identity?.caId;
        return gone.has(caId ?? "");
      });
      for (const caId of gone) if (!trust.has(caId)) directory.forgetCa(caId);
      await registration.expel(directory.registrations());
      return { trusted: trust.size };
    },
    "owner.reload": async ({ accountId, ownerId }) => {
      await notifier.reload(accountId, ownerId);
      await subscriptions.reload(ownerId);
      await requests.reloadOwner(ownerId);
      return {};
    },
    "account.reload": async () => {
      await accounts.load();
      return {};
    },
    "device.added": async ({ deviceId }) => {
      await directory.admit(db, deviceId);
      return {};
    },
    "device.suspension": async ({ accountId, deviceId }) => {
      if (directory.byId(deviceId)?.accountId !== accountId) return {};
      if (!(await directory.admit(db, deviceId))?.suspended) return {};
      const current = directory.registrationOf(deviceId);
      if (current) await registration.expel([current]);
      listeners.endSessions(isOf(deviceId));
      return {};
    },
    "device.removed": async () => {
      await takeRemovals(parts, listeners, db);
      return {};
    },
    "device.request": (input) => requests.enqueue(input),
    "device.read": (input) => operations.read(input),
    "device.write": (input) => operations.write(input),
    "device.execute": (input) => operations.execute(input),
    "device.observe": (input) => operations.observe(input),
    "device.unobserve": (input) => operations.unobserve(input),
    "device.rebootstrap": (input) => operations.rebootstrap(input),
    "device.renew": (input) => operations.renew(input),
    "subscription.put": (input) => subscriptions.put(input),
    "subscription.remove": (input) => subscriptions.remove(input),
    "subscription.list": (input) => subscriptions.list(input),
  };
}
