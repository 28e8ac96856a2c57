import { busPath, connectBus } from "@/server/bus";
import { systemClock } from "@/server/clock";
import { type Config, loadConfig } from "@/server/config";
import { migrate, openDatabase } from "@/server/db";
import { createLogger } from "@/server/log";
import { defaultAccount } from "@/server/services/accounts/default";
import type { AccountView } from "@/server/services/accounts/get";
import { listAccounts } from "@/server/services/accounts/list";
import type { Context } from "@/server/services/context";
import { actAs, createContext } from "@/server/services/create-context";
import { ensureInstance } from "@/server/services/instance/ensure";
import { ping } from "@/server/services/overview/get";
import { CliError, type Io } from "./io";

/** What commands on this instance work with. */
export interface App {
  config: Config;
  /** The service itself acts. */
  system: Context;
  /** The caller acts in an account. */
  account: AccountView;
  ctx: Context;
}

/** Opens the instance, runs a command on it and closes everything. */
export async function withInstance<T>(
  io: Io,
  run: (instance: { config: Config; system: Context }) => Promise<T>,
): Promise<T> {
  const config = loadConfig(io.env);
  await migrate(config);
  const db = await openDatabase(config);
  const log = createLogger("cli", "silent", "stderr");
  const bus = connectBus({ path: busPath(config), clock: systemClock, log });
  try {
    const system = createContext({ config, db, bus });
    // Waits for the connection, so that the gateway hears of what is done; without a gateway this fails at once.
    await ping(system);
    await ensureInstance(system, { publicHost: config.publicHost, renew: false });
    return await run({ config, system });
  } finally {
    bus.close();
    await db.$disconnect();
  }
}

/** The same with an account to act in: the one named, else the first. */
export function withAccount<T>(io: Io, named: string | undefined, run: (app: App) => Promise<T>): Promise<T> {
  return withInstance(io, async ({ config, system }) => {
    const account = await chooseAccount(system, named);
    return run({
      config,
      system,
      account,
      ctx: actAs(system, { kind: "operator", accountId: account.id }),
    });
  });
}

/** The account that is named, else the first one. */
export async function chooseAccount(system: Context, named: string | undefined): Promise<AccountView> {
  const first = await defaultAccount(system);
  if (!first) {
    throw new CliError(
      "There is no account yet. Start Gangway and open the set-up link it prints, or run: npm run gangway -- users create-admin EMAIL",
    );
  }
  if (named === undefined) return first;
  const accounts = await listAccounts(system);
  const exact = accounts.find((account) => account.id === named);
  if (exact) return exact;
  const matching = accounts.filter((account) => account.name.toLowerCase() === named.toLowerCase());
  if (matching.length > 1)
    throw new CliError(`There are ${matching.length} accounts named “${named}”: give the ID.`);
  if (!matching[0]) throw new CliError(`There is no account with the name or ID “${named}”.`);
  return matching[0];
}
