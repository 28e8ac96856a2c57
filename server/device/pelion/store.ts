import { createHash, createPrivateKey, X509Certificate } from "node:crypto";
import { z } from "zod";
import type { Bundle } from "@/server/pki";
import { readPrivateFile, writePrivateFile } from "../file";

/** The longest certificate, key or URI the client can hold. */
const MAX_ITEM_BYTES = 1024;

/** A server's credentials as they lie in the store: each may be missing on its own. */
export interface StoredServer {
  uri: string | null;
  /** Leaf first; empty without one. */
  chain: Uint8Array[];
  privateKey: Uint8Array | null;
  serverCa: Uint8Array | null;
}

/** What the client keeps in its store. */
export interface PelionItems {
  bootstrap: StoredServer & { uri: string };
  lwm2m: StoredServer;
  /** The device ID it was given. */
  internalEndpoint: string | null;
  accountId: string | null;
  /** Seconds since 1970 as it last had them from a server; null when it never had. */
  time: number | null;
}

/** Where a device keeps its items; null when there is nothing yet. */
export interface PelionStore {
  load(): Promise<PelionItems | null>;
  save(items: PelionItems): Promise<void>;
}

export const NO_SERVER: Readonly<StoredServer> = { uri: null, chain: [], privateKey: null, serverCa: null };

/** What the factory, or the C file of a developer certificate, put there. */
export function factoryItems(bundle: Bundle, transport: "udp" | "tcp"): PelionItems {
  const uri = bundle.bootstrapUri[transport].replace("+tcp://", "://");
  return {
    bootstrap: {
      uri: uri.includes("?") ? uri : `${uri}?aid=${bundle.accountId}`,
      chain: [bundle.certificate],
      privateKey: bundle.privateKey,
      serverCa: bundle.serverCa,
    },
    lwm2m: { ...NO_SERVER },
    internalEndpoint: null,
    accountId: null,
    time: null,
  };
}

/** True for a certificate the store takes. */
export function isCertificate(der: Uint8Array): boolean {
  if (der.length > MAX_ITEM_BYTES) return false;
  try {
    return new X509Certificate(der).raw.length === der.length;
  } catch {
    return false;
  }
}

/** The key in the one form the rest of us uses (PKCS#8), or null when the store does not take it. */
export function readKey(der: Uint8Array): Uint8Array | null {
  if (der.length > MAX_ITEM_BYTES) return null;
  for (const type of ["pkcs8", "sec1"] as const) {
    try {
      const key = createPrivateKey({ key: Buffer.from(der), format: "der", type });
      return new Uint8Array(key.export({ format: "der", type: "pkcs8" }));
    } catch {
      // The other form may fit.
    }
  }
  return null;
}

const FILE = "pelion.json";
const bytes = z.base64().transform((text) => new Uint8Array(Buffer.from(text, "base64")));
const server = z.object({
  uri: z.string().nullable(),
  chain: z.array(bytes),
  privateKey: bytes.nullable(),
  serverCa: bytes.nullable(),
});
const schema = z.object({
  version: z.literal(1),
  bundle: z.string(),
  bootstrap: server.extend({ uri: z.string() }),
  lwm2m: server,
  internalEndpoint: z.string().nullable(),
  accountId: z.string().nullable(),
  time: z.number().nullable(),
});

/** Items in a file of the device's own folder. */
export class FilePelionStore implements PelionStore {
  readonly #bundle: string;

  constructor(
    private readonly folder: string,
    bundleCertificate: Uint8Array,
    private readonly warn: (message: string) => void,
  ) {
    this.#bundle = createHash("sha256").update(bundleCertificate).digest("hex");
  }

  async load(): Promise<PelionItems | null> {
    const text = await readPrivateFile(this.folder, FILE);
    if (text === null) return null;
    const { bundle, version: _, ...items } = parse(text) ?? { bundle: null, version: 1 };
    // Another developer certificate in the firmware makes it a fresh device.
    if (bundle === this.#bundle) return items as PelionItems;
    this.warn(
      bundle === null
        ? "The stored credentials are unreadable; the device starts anew."
        : "The stored credentials belong to another developer certificate; the device starts anew.",
    );
    return null;
  }

  save(items: PelionItems): Promise<void> {
    const base64 = (value: Uint8Array) => Buffer.from(value).toString("base64");
    const write = ({ uri, chain, privateKey, serverCa }: StoredServer) => ({
      uri,
      chain: chain.map(base64),
      privateKey: privateKey && base64(privateKey),
      serverCa: serverCa && base64(serverCa),
    });
    const stored = {
      version: 1,
      bundle: this.#bundle,
      ...items,
      bootstrap: write(items.bootstrap),
      lwm2m: write(items.lwm2m),
    };
    return writePrivateFile(this.folder, FILE, `${JSON.stringify(stored, null, 2)}\n`);
  }
}

function parse(text: string): z.output<typeof schema> | null {
  try {
    return schema.safeParse(JSON.parse(text)).data ?? null;
  } catch {
    return null;
  }
}
