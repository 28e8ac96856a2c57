import { createPrivateKey, X509Certificate } from "node:crypto";
import { strFromU8, strToU8, unzipSync, type Zippable, zipSync } from "fflate";
import { z } from "zod";
import { developerCredentialsC } from "./bundle-c";
import { bundleReadme } from "./bundle-readme";
import type { Bundle, BundleInput } from "./bundle-types";
import { toPem } from "./pem";

/** A bundle that cannot be used, in words. */
export class BundleError extends Error {
  constructor(message: string) {
    super(message);
    this.name = "BundleError";
  }
}

const MAX_ZIP_BYTES = 1024 * 1024;
const MAX_JSON_BYTES = 64 * 1024;
const JSON_FILE = "gangway.json";

/** The files of a developer certificate bundle, by name. */
export function bundleFiles(input: BundleInput): Record<string, Uint8Array> {
  const base64 = (bytes: Uint8Array) => Buffer.from(bytes).toString("base64");
  return {
    "README.md": strToU8(bundleReadme({ ...input, fileName: input.fileName ?? "developer-certificate.zip" })),
    "mbed_cloud_dev_credentials.c": strToU8(developerCredentialsC(input)),
    "device.pem": strToU8(toPem(input.certificate, "CERTIFICATE")),
    "device.der": input.certificate,
    "key.pem": strToU8(toPem(input.privateKey, "PRIVATE KEY")),
    "key.der": input.privateKey,
    "server-ca.pem": strToU8(toPem(input.serverCa, "CERTIFICATE")),
    "server-ca.der": input.serverCa,
    [JSON_FILE]: strToU8(
      `${JSON.stringify(
        {
          version: 1,
          endpointName: input.endpointName,
          accountId: input.accountId,
          bootstrapUri: input.bootstrapUri,
          certificate: base64(input.certificate),
          privateKey: base64(input.privateKey),
          serverCa: base64(input.serverCa),
        },
        null,
        2,
      )}\n`,
    ),
  };
}

/** The zip that a person downloads for a developer certificate. */
export function developerBundle(input: BundleInput): Uint8Array {
  const mtime = input.madeAt ?? new Date();
  const zippable: Zippable = {};
  for (const [name, content] of Object.entries(bundleFiles(input))) {
    // Files with the key are for their owner only where the unpacking program keeps modes.
    const secret = name.startsWith("key.") || name === JSON_FILE || name.endsWith(".c");
    zippable[name] = [content, { mtime, os: 3, attrs: (secret ? 0o100600 : 0o100644) << 16 }];
  }
  return zipSync(zippable);
}

const base64 = z
  .base64("is not base64")
  .min(1, "is empty")
  .transform((text) => new Uint8Array(Buffer.from(text, "base64")));

const uri = (scheme: "coaps" | "coaps+tcp") =>
  z
    .string()
    .regex(
      new RegExp(`^${scheme.replace("+", "\\+")}://[^\\s/?#@]+:\\d{1,5}(\\?\\S*)?$`),
      `is not ${scheme}://host:port`,
    );

const bundleSchema = z.object({
  version: z.literal(1, "is not 1: the bundle was made by a newer version"),
  endpointName: z.string().min(1, "is empty"),
  accountId: z.string().min(1, "is empty"),
  bootstrapUri: z.object({ udp: uri("coaps"), tcp: uri("coaps+tcp") }),
  certificate: base64,
  privateKey: base64,
  serverCa: base64,
});

/** Reads a bundle zip back; throws BundleError. */
export function readBundle(zip: Uint8Array): Bundle {
  if (zip.length > MAX_ZIP_BYTES) throw new BundleError("The file is too large for a certificate bundle.");
  const parsed = bundleSchema.safeParse(readJson(zip));
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    throw new BundleError(
      `The bundle cannot be used: ${issue?.path.join(".") || JSON_FILE} ${issue?.message}.`,
    );
  }
  const bundle = parsed.data;
  const certificate = readWith("certificate", () => new X509Certificate(bundle.certificate));
  readWith("serverCa", () => new X509Certificate(bundle.serverCa));
  const key = readWith("privateKey", () =>
    createPrivateKey({ key: Buffer.from(bundle.privateKey), format: "der", type: "pkcs8" }),
  );
  if (!certificate.checkPrivateKey(key))
    throw new BundleError("The bundle cannot be used: its key is not that of its certificate.");
  return bundle;
}

function readJson(zip: Uint8Array): unknown {
  let file: Uint8Array | undefined;
  try {
    // The size is checked before anything is unpacked.
    file = unzipSync(zip, {
      filter: ({ name, originalSize }) => name === JSON_FILE && originalSize <= MAX_JSON_BYTES,
    })[JSON_FILE];
  } catch {
    throw new BundleError("The file is not a certificate bundle: it is no zip file, or is damaged.");
  }
  if (!file) throw new BundleError(`The file is not a certificate bundle: there is no ${JSON_FILE} in it.`);
  try {
    return JSON.parse(strFromU8(file));
  } catch {
    throw new BundleError(`The bundle cannot be used: its ${JSON_FILE} is damaged.`);
  }
}

function readWith<T>(field: string, read: () => T): T {
  try {
    return read();
  } catch {
    throw new BundleError(`The bundle cannot be used: ${field} cannot be read.`);
  }
}
