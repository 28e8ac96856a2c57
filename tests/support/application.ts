import { newId } from "@/server/services/ids";
import type { NotificationBodies, NotificationKind } from "@/server/services/notifications/types";
import type { TestGateway } from "./test-gateway";

/** What waits for an application, oldest first. */
export type Told = { [K in NotificationKind]: { kind: K } & NotificationBodies[K] }[NotificationKind];
export type ToldOf<K extends NotificationKind> = Extract<Told, { kind: K }>;

/** An application as the gateway knows it: what it asks for, and its queue. */
export class TestApplication {
  readonly id = newId();

  constructor(
    private readonly gateway: TestGateway,
    readonly accountId = gateway.accountId,
  ) {}

  /** Gives it a notification channel. */
  async open(): Promise<this> {
    const { id: ownerId, accountId, gateway } = this;
    const data = { ownerId, accountId, kind: "LONG_POLLING", activeAt: new Date() };
    await gateway.db.notificationChannel.create({ data });
    await this.reload();
    return this;
  }

  async presubscribe(
    ...entries: { endpointName?: string; endpointType?: string; resourcePaths?: string[] }[]
  ): Promise<void> {
    const { id: ownerId, accountId, gateway } = this;
    await gateway.db.presubscription.deleteMany({ where: { ownerId } });
    for (const [position, { resourcePaths = [], ...entry }] of entries.entries())
      await gateway.db.presubscription.create({
        data: { ownerId, accountId, position, ...entry, resourcePaths: JSON.stringify(resourcePaths) },
      });
    await this.reload();
  }

  async reload(): Promise<void> {
    await eventually(() => this.gateway.bus.connected);
    await this.gateway.bus.request("owner.reload", { accountId: this.accountId, ownerId: this.id });
  }

  subscribe(deviceId: string, path: string, asyncId = newId()) {
    const { accountId, id: ownerId } = this;
    return this.gateway.bus.request("subscription.put", { accountId, ownerId, deviceId, path, asyncId });
  }

  async unsubscribe(deviceId: string | null, path: string | null = null): Promise<number> {
    const { accountId, id: ownerId } = this;
    const input = { accountId, ownerId, deviceId, path };
    return (await this.gateway.bus.request("subscription.remove", input)).removed;
  }

  async subscriptions(deviceId: string): Promise<string[]> {
    const { accountId, id: ownerId } = this;
    return (await this.gateway.bus.request("subscription.list", { accountId, ownerId, deviceId })).paths;
  }

  async told(): Promise<Told[]> {
    const rows = await this.gateway.db.notification.findMany({
      where: { ownerId: this.id },
      orderBy: { seq: "asc" },
    });
    return rows.map(({ kind, body }) => ({ kind, ...JSON.parse(body) }) as Told);
  }

  async kinds(): Promise<NotificationKind[]> {
    return (await this.told()).map(({ kind }) => kind);
  }

  /** Waits until it was told so many of a kind. */
  got<K extends NotificationKind>(kind: K, count = 1): Promise<ToldOf<K>[]> {
    return eventually(async () => {
      const found = (await this.told()).filter((one): one is ToldOf<K> => one.kind === kind);
      return found.length >= count && found;
    });
  }

  /** Waits for a value of a path, as text. */
  gotValue(path: string, text: string): Promise<ToldOf<"notifications">> {
    return eventually(async () =>
      (await this.told()).findLast(
        (one): one is ToldOf<"notifications"> =>
          one.kind === "notifications" && one.path === path && textOf(one) === text,
      ),
    );
  }
}

/** The text of a payload. */
export const textOf = ({ payload }: { payload: string }): string => Buffer.from(payload, "base64").toString();

/** Waits until the probe finds something. */
export async function eventually<T>(
  probe: () => Promise<T | null | undefined | false> | T | null | undefined | false,
): Promise<T> {
  for (let waited = 0; waited < 8000; waited += 10) {
    const found = await probe();
    if (found) return found;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  throw new Error("It did not happen.");
}
