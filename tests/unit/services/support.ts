import { createHash, randomBytes } from "node:crypto";
import type { BusEvent, GatewayOp } from "@/server/bus/messages";
import { openTestDatabase, type PrismaClient } from "@/server/db";
import type { Actor, BusClient, Context, Vault } from "@/server/services/context";
import { ServiceError } from "@/server/services/errors";
import { newId } from "@/server/services/ids";
import { FakeClock } from "../../support/fake-clock";

/** A gateway that remembers what it was asked and answers as told; down when there is no answer. */
export class FakeBus implements BusClient {
  readonly requests: { op: GatewayOp; input: unknown }[] = [];
  readonly published: BusEvent[] = [];
  answers: Partial<Record<GatewayOp, unknown>> = {};
  /** Runs before a request is answered. */
  before: () => Promise<void> = async () => {};

  request: BusClient["request"] = async (op, input) => {
    this.requests.push({ op, input });
    await this.before();
    if (!(op in this.answers)) throw new ServiceError("unavailable", "The gateway is not running.");
    return this.answers[op] as never;
  };

  publish(message: BusEvent): void {
    this.published.push(message);
  }
}

/** Seals by turning bits over, so that a test sees whether something was sealed. */
const fakeVault: Vault = {
  seal: (plain, purpose) => Buffer.concat([Buffer.from(`${purpose}:`), plain.map((byte) => byte ^ 0xff)]),
  open: (sealed, purpose) => {
    const prefix = Buffer.from(`${purpose}:`);
    if (!prefix.equals(sealed.subarray(0, prefix.length))) throw new Error("sealed for something else");
    return sealed.subarray(prefix.length).map((byte) => byte ^ 0xff);
  },
};

export interface Tenant {
  id: string;
  user: Context;
  developer: Context;
  key: Context;
  device: Context;
  operator: Context;
}

export interface Bench {
  db: PrismaClient;
  clock: FakeClock;
  bus: FakeBus;
  system: Context;
  /** The first account: the operator's. */
  a: Tenant;
  b: Tenant;
  close(): Promise<void>;
}

/** A database of its own with two accounts. */
export async function openBench(): Promise<Bench> {
  const { db, close } = await openTestDatabase();
  const clock = new FakeClock();
  const bus = new FakeBus();
  const as = (actor: Actor): Context => ({ db, clock, bus, vault: fakeVault, actor });
  const tenant = async (name: string): Promise<Tenant> => {
    const id = newId(clock.now());
    await db.account.create({ data: { id, name, createdAt: new Date(clock.now()) } });
    await clock.advance(1);
    return {
      id,
      user: as({
        kind: "user",
        id: newId(),
        accountId: id,
        role: "administrator",
        email: `${name}@example.com`,
      }),
      developer: as({
        kind: "user",
        id: newId(),
        accountId: id,
        role: "developer",
        email: `dev@${name}.example.com`,
      }),
      key: as({ kind: "apiKey", id: newId(), accountId: id, name: "a key" }),
      device: as({ kind: "device", id: newId(), accountId: id }),
      operator: as({ kind: "operator", accountId: id }),
    };
  };
  const a = await tenant("alpha");
  const b = await tenant("beta");
  return { db, clock, bus, system: as({ kind: "system" }), a, b, close };
}

type DeviceData = Partial<Parameters<PrismaClient["device"]["create"]>[0]["data"]>;

/** A directory entry. */
export async function addDevice(bench: Bench, accountId: string, data: DeviceData = {}): Promise<string> {
  const id = (data.id as string | undefined) ?? newId(bench.clock.now());
  const endpointName = (data.endpointName as string | undefined) ?? `ep-${id.slice(-6)}`;
  await bench.db.device.create({
    data: {
      id,
      identity: `ep:${endpointName}`,
      endpointName,
      state: "bootstrapped",
      createdAt: new Date(bench.clock.now()),
      ...data,
      accountId,
    } as Parameters<PrismaClient["device"]["create"]>[0]["data"],
  });
  return id;
}

/** Registers a device for some seconds. */
export async function register(
  bench: Bench,
  accountId: string,
  deviceId: string,
  facts: { lifetime?: number; objectLinks?: string; lwm2mVersion?: string } = {},
): Promise<void> {
  const now = bench.clock.now();
  const { lifetime = 60, objectLinks = "</3/0>", lwm2mVersion = "1.1" } = facts;
  await bench.db.device.update({
    where: { id: deviceId },
    data: { state: "registered", lastSeenAt: new Date(now), registeredAt: new Date(now) },
  });
  await bench.db.registration.create({
    data: {
      id: `${accountId}/${deviceId}`,
      deviceId,
      accountId,
      endpointName: "ep",
      lifetime,
      lwm2mVersion,
      binding: "U",
      objectLinks,
      address: "192.0.2.1:5000",
      transport: "dtls",
      registeredAt: new Date(now),
      updatedAt: new Date(now),
      expiresAt: new Date(now + lifetime * 1000),
    },
  });
}

/** A trusted certificate as a row; its bytes are none. */
export async function addCertificate(
  bench: Bench,
  accountId: string,
  name: string,
  data: Partial<Parameters<PrismaClient["trustedCertificate"]["create"]>[0]["data"]> = {},
): Promise<string> {
  const id = newId(bench.clock.now());
  const certificate = randomBytes(40);
  await bench.db.trustedCertificate.create({
    data: {
      id,
      name,
      certificate,
      fingerprint: createHash("sha256").update(certificate).digest("hex"),
      subject: `CN=${name}`,
      issuer: `CN=${name}`,
      notBefore: new Date(bench.clock.now()),
      notAfter: new Date(bench.clock.now() + 3650 * 86_400_000),
      developer: true,
      endpointName: "e".repeat(32),
      privateKey: randomBytes(40),
      createdBy: "test",
      createdAt: new Date(bench.clock.now()),
      ...data,
      accountId,
    } as Parameters<PrismaClient["trustedCertificate"]["create"]>[0]["data"],
  });
  return id;
}

/** The code of the ServiceError that a verb ends in. */
export async function failure(run: Promise<unknown>): Promise<string> {
  try {
    await run;
  } catch (error) {
    if (error instanceof ServiceError) return error.code;
    throw error;
  }
  return "nothing";
}

/** Types of the events written for an account, the oldest first. */
export async function eventTypes(bench: Bench, accountId: string | null): Promise<string[]> {
  const rows = await bench.db.deviceEvent.findMany({ where: { accountId }, orderBy: { id: "asc" } });
  return rows.map((row) => row.type);
}
