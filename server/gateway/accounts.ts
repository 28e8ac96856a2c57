import type { PrismaClient } from "@/server/db";

/** What an account has chosen for its devices. */
export interface AccountSettings {
  /** Devices of Pelion's kind make their own keys. */
  deviceKeys: boolean;
  /** Seconds; null: the default. */
  registrationLifetime: number | null;
}

const DEFAULTS: AccountSettings = { deviceKeys: true, registrationLifetime: null };

/** The settings of all accounts, in memory; read again when the portal says that they changed. */
export class AccountBook {
  #settings = new Map<string, AccountSettings>();

  constructor(private readonly db: PrismaClient) {}

  async load(): Promise<void> {
    const rows = await this.db.account.findMany({
      select: { id: true, deviceKeys: true, registrationLifetime: true },
    });
    this.#settings = new Map(rows.map(({ id, ...settings }) => [id, settings]));
  }

  get(accountId: string): AccountSettings {
    return this.#settings.get(accountId) ?? DEFAULTS;
  }
}
