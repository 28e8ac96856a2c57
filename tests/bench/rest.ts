import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "@/server/clock";
import { loadConfig } from "@/server/config";
import { GroupCommit, migrate, openDatabase, type Statement } from "@/server/db";
import { createApiKey } from "@/server/services/api-keys/create";
import { actAs, createContext } from "@/server/services/create-context";
import { newId } from "@/server/services/ids";
import { createFirstAdministrator } from "@/server/services/instance/setup";
import { HttpConnection } from "./_http";
import { concurrently, measure, quantile, rateRows } from "./_measure";
import { startPortalProcess } from "./_portal";

export const name = "The REST API at 100,000 devices";

const DEVICES = 100_000;
const READS = 40_000;
const WARM_UP = 10_000;
/** Applications at a time: no key comes near its limit. */
const KEYS = 16;
/** Times that a page is asked for. */
const ROUNDS = 60;

const PAGES: readonly [what: string, query: string, total: number][] = [
  ["of a state", "state__eq=registered", DEVICES * 0.6],
  ["of a custom attribute that many have", "custom_attributes__colour=red", DEVICES / 4],
  ["of a custom attribute that few have", "custom_attributes__site=s77", DEVICES / 1000],
  [
    "of a state and a custom attribute",
    "filter=state%3Dregistered%26custom_attributes__colour%3Dred",
    DEVICES * 0.15,
  ],
  ["of a field without an index", "device_class__eq=class-7", DEVICES / 50],
  ["made since a time", "created_at__gte=2026-01-01T00:00:00.000Z", DEVICES / 2],
];

const device: Statement<object> = {
  name: "device",
  order: 1,
  sql: `INSERT INTO "Device" ("id", "accountId", "endpointName", "identity", "name", "serialNumber", "deviceClass",
      "state", "executionMode", "deviceKey", "customAttributes", "bootstrappedAt", "createdAt", "updatedAt")
    VALUES (@id, @accountId, @endpointName, @identity, @name, @serialNumber, @deviceClass,
      @state, 1, @deviceKey, @customAttributes, @at, @at, @at)`,
};

/** A data folder as it is after some time with so many devices. */
async function prepare(folder: string) {
  const config = loadConfig({ GANGWAY_DATA: folder, GANGWAY_PUBLIC_HOST: "127.0.0.1" });
  await migrate(config);
  const db = await openDatabase(config);
  const bus = {
    publish: () => {},
    request: () => Promise.reject(new Error("There is no gateway.")),
  };
  const context = createContext({ config, db, bus });
  const { accountId } = await createFirstAdministrator(context, {
    token: null,
    email: "somebody@example.com",
    password: "a long enough password",
  });
  const operator = actAs(context, { kind: "operator", accountId });
  const keys: string[] = [];
  for (let n = 0; n < KEYS; n++) keys.push((await createApiKey(operator, { name: `bench ${n}` })).key);
  const states = ["registered", "registered", "registered", "deregistered", "bootstrapped"];
  const colours = ["red", "green", "blue", "grey"];
  const from = Date.UTC(2026, 0, 1) - (DEVICES / 2) * 1000;
  const commit = new GroupCommit(db, systemClock);
  const ids: string[] = [];
  for (let n = 0; n < DEVICES; n++) {
    const at = from + n * 1000;
    const id = newId(at);
    ids.push(id);
    const row = {
      id,
      accountId,
      endpointName: `device-${n}`,
      identity: `ep:device-${n}`,
      name: `Device ${n}`,
      serialNumber: `SN${n}`,
      deviceClass: `class-${n % 50}`,
      state: states[Math.floor(n / 4) % 5],
      deviceKey: n.toString(16).padStart(64, "0"),
      customAttributes: JSON.stringify({ colour: colours[n % 4], site: `s${n % 1000}` }),
      at,
    };
    const written = commit.add(device, row);
    if (n % 1000 === 999) await written;
  }
  await commit.close();
  await db.$disconnect();
  return { config, keys, ids };
}

export async function run() {
  const folder = mkdtempSync(join(tmpdir(), "gangway-rest-"));
  try {
    const { config, keys, ids } = await prepare(folder);
    const portal = await startPortalProcess(config);
    try {
      const connections = await Promise.all(keys.map((key) => HttpConnection.open(portal.port, key)));
      let turn = 0;
      const read = async (count: number) => {
        const free = [...connections];
        await concurrently(Array.from({ length: count }), connections.length, async () => {
          const connection = free.pop() as HttpConnection;
          const id = ids[(turn++ * 7919) % ids.length] as string;
          const body = await connection.get(`/v3/devices/${id}`);
          if (!body.includes(id)) throw new Error(`Answered ${body}`);
          free.push(connection);
        });
      };
      await read(WARM_UP);
      const rate = await measure(portal, READS, () => read(READS));
      const [connection] = connections as [HttpConnection];
      const pages = [];
      for (const [what, query, total] of PAGES) {
        const path = `/v3/devices?${query}&include=total_count`;
        const page = JSON.parse(await connection.get(path)) as { data: unknown[]; total_count: number };
        if (page.data.length !== 50 || page.total_count !== total)
          throw new Error(`A page ${what} has ${page.data.length} of ${page.total_count} devices.`);
        const times: number[] = [];
        for (let round = 0; round < ROUNDS; round++) {
          const start = performance.now();
          await connection.get(path);
          times.push(performance.now() - start);
        }
        pages.push({
          metric: `page of devices ${what}, with their number`,
          value: quantile(times, 0.5),
          unit: "ms",
        });
      }
      for (const open of connections) open.close();
      return [
        ...rateRows("device reads", rate, 3_000, "two queries (a third of it), then HTTP", "portal"),
        ...pages.map((page, n) => ({
          ...page,
          aim: 20,
          ...(n === 1 && { limitedBy: "SQLite: every device of the account is looked at to count them" }),
        })),
      ];
    } finally {
      await portal.close();
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
