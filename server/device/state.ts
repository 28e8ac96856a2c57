import { createHash } from "node:crypto";
import { join } from "node:path";
import { z } from "zod";
import { readPrivateFile, writePrivateFile } from "./file";
import type { Credentials } from "./link";

/** The LwM2M server account a bootstrap server wrote. */
export interface Account {
  uri: string;
  shortServerId: number;
  /** Seconds, from /1/x/1. */
  lifetime: number | null;
  /** Null for an account without security. */
  credentials: Credentials | null;
}

/** What a device keeps over restarts. */
export interface DeviceState {
  deviceId: string | null;
  account: Account | null;
}

/** Where a device keeps its state. */
export interface StateStore {
  load(): Promise<DeviceState>;
  save(state: DeviceState): Promise<void>;
}

const EMPTY: DeviceState = { deviceId: null, account: null };
const FILE = "state.json";

const bytes = z.base64().transform((text) => new Uint8Array(Buffer.from(text, "base64")));
const schema = z.object({
  version: z.literal(1),
  /** The bundle it came from: another one makes it another device. */
  bundle: z.string(),
  deviceId: z.string().nullable(),
  account: z
    .object({
      uri: z.string(),
      shortServerId: z.number().int(),
      lifetime: z.number().nullable(),
      credentials: z.object({ certificate: bytes, privateKey: bytes, serverCa: bytes }).nullable(),
    })
    .nullable(),
});

/** State in a file of its own folder, readable by its owner only, replaced as a whole. */
export class FileState implements StateStore {
  readonly #bundle: string;

  constructor(
    private readonly folder: string,
    bundleCertificate: Uint8Array,
    private readonly warn: (message: string) => void,
  ) {
    this.#bundle = createHash("sha256").update(bundleCertificate).digest("hex");
  }

  async load(): Promise<DeviceState> {
    const text = await readPrivateFile(this.folder, FILE);
    if (text === null) return EMPTY;
    const state = readState(text);
    if (!state) {
      this.warn(`The state in ${join(this.folder, FILE)} is unreadable; the device starts anew.`);
      return EMPTY;
    }
    if (state.bundle !== this.#bundle) {
      this.warn("The stored credentials belong to another developer certificate; the device starts anew.");
      return EMPTY;
    }
    return { deviceId: state.deviceId, account: state.account };
  }

  async save({ deviceId, account }: DeviceState): Promise<void> {
    const base64 = (value: Uint8Array) => Buffer.from(value).toString("base64");
    const stored: z.input<typeof schema> = {
      version: 1,
      bundle: this.#bundle,
      deviceId,
      account: account && {
        ...account,
        credentials: account.credentials && {
          certificate: base64(account.credentials.certificate),
          privateKey: base64(account.credentials.privateKey),
          serverCa: base64(account.credentials.serverCa),
        },
      },
    };
    await writePrivateFile(this.folder, FILE, `${JSON.stringify(stored, null, 2)}\n`);
  }
}

function readState(text: string): z.output<typeof schema> | null {
  try {
    return schema.safeParse(JSON.parse(text)).data ?? null;
  } catch {
    return null;
  }
}
