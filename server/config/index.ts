import { accessSync, constants, mkdirSync } from "node:fs";
import { isIP } from "node:net";
import { join, resolve } from "node:path";
import { z } from "zod";
import { ConfigError } from "./errors";
import { defaultBindHost, defaultPublicHost, isLocalHost, parseHost } from "./host";
import { LOG_LEVELS, type LogLevel } from "./log-levels";

export { ConfigError } from "./errors";
export { parseHost, uriHost } from "./host";

/** Everything that can be set from outside. Port 0 means any free port. */
export interface Config {
  /** Folder of the database, the keys and the pid files; made with mode 0700. */
  dataDir: string;
  /** `file:` and an absolute path. */
  databaseUrl: string;
  /** Seals private keys at rest; null: the file `secret` in the data folder. */
  secret: string | null;
  /** Address to listen on. */
  host: string;
  portalPort: number;
  httpsPort: number;
  /** Certificate and key of the portal (PEM files); null: one of the instance's own CA. */
  tls: { certFile: string; keyFile: string } | null;
  bootstrapPort: number;
  lwm2mPort: number;
  coapBootstrapPort: number;
  coapLwm2mPort: number;
  /** Opens plain `coap` and `coap+tcp`. */
  insecureCoap: boolean;
  /** Host name or address that devices and people are told. */
  publicHost: string;
  /** True when devices elsewhere cannot reach `publicHost`. */
  publicHostIsLocal: boolean;
  /** The administrator to make at start when there is none. */
  admin: { email: string; password: string } | null;
  /** Believe X-Forwarded-* headers. */
  trustProxy: boolean;
  /** Host names, addresses and networks (`10.0.0.0/8`) of their own that callbacks may go to. */
  callbackAllow: readonly string[];
  logLevel: LogLevel;
}

const port = (fallback: number) =>
  z
    .string()
    .regex(/^\d{1,5}$/, "must be a port number from 0 to 65535")
    .transform(Number)
    .refine((value) => value <= 65535, "must be a port number from 0 to 65535")
    .default(fallback);

const flag = z
  .string()
  .toLowerCase()
  .pipe(z.enum(["1", "true", "yes", "on", "0", "false", "no", "off"], "must be 1 or 0"))
  .transform((value) => ["1", "true", "yes", "on"].includes(value))
  .default(false);

const host = z.string().transform((value, ctx) => {
  const parsed = parseHost(value);
  if (parsed === null) {
    ctx.addIssue({
      code: "custom",
      message: "must be a host name or an IP address, without scheme and port",
    });
    return z.NEVER;
  }
  return parsed;
});

/** A host name, an address, or a network in CIDR notation. */
const target = z.string().transform((value, ctx) => {
  const [, address, bits] = /^(.*?)(?:\/(\d{1,3}))?$/.exec(value) ?? [];
  const host = parseHost(address ?? "");
  const family = isIP(host ?? "");
  if (host !== null && bits === undefined) return host;
  if (host !== null && family !== 0 && Number(bits) <= (family === 4 ? 32 : 128))
    return `${host}/${Number(bits)}`;
  ctx.addIssue({
    code: "custom",
    message: "must be host names, addresses and networks such as 10.0.0.0/8, joined by commas",
  });
  return z.NEVER;
});

const targets = z
  .string()
  .default("")
  .transform((value) =>
    value
      .split(",")
      .map((one) => one.trim())
      .filter((one) => one !== ""),
  )
  .pipe(z.array(target));

const readableFile = z.string().refine((file) => {
  try {
    accessSync(file, constants.R_OK);
    return true;
  } catch {
    return false;
  }
}, "must be the path of a readable file");

const environment = z.object({
  GANGWAY_DATA: z.string().default("data"),
  DATABASE_URL: z.string().optional(),
  GANGWAY_SECRET: z.string().min(16, "must have at least 16 characters").optional(),
  GANGWAY_HOST: host.optional(),
  PORT: port(3000),
  GANGWAY_HTTPS_PORT: port(3443),
  GANGWAY_TLS_CERT: readableFile.optional(),
  GANGWAY_TLS_KEY: readableFile.optional(),
  GANGWAY_BOOTSTRAP_PORT: port(5784),
  GANGWAY_LWM2M_PORT: port(5684),
  GANGWAY_COAP_BOOTSTRAP_PORT: port(5783),
  GANGWAY_COAP_LWM2M_PORT: port(5683),
  GANGWAY_INSECURE_COAP: flag,
  GANGWAY_PUBLIC_HOST: host.optional(),
  GANGWAY_ADMIN_EMAIL: z.email("must be an e-mail address").optional(),
  GANGWAY_ADMIN_PASSWORD: z.string().optional(),
  GANGWAY_TRUST_PROXY: flag,
  GANGWAY_CALLBACK_ALLOW: targets,
  GANGWAY_LOG_LEVEL: z.enum(LOG_LEVELS, `must be one of ${LOG_LEVELS.join(", ")}`).default("info"),
});

/** Variables that make sense only together. */
const PAIRS = [
  ["GANGWAY_TLS_CERT", "GANGWAY_TLS_KEY"],
  ["GANGWAY_ADMIN_EMAIL", "GANGWAY_ADMIN_PASSWORD"],
] as const;

/** Secret values are not repeated in an error. */
const SECRET = new Set(["GANGWAY_SECRET", "GANGWAY_ADMIN_PASSWORD", "DATABASE_URL"]);

/** Reads the environment, makes the data folder, and throws a ConfigError naming what cannot be used. */
export function loadConfig(env: Readonly<Record<string, string | undefined>> = process.env): Config {
  // An empty variable counts as not set, as in a compose file that passes everything on.
  const given = Object.fromEntries(
    Object.keys(environment.shape).map((name) => [
      name,
      env[name]?.trim() === "" ? undefined : env[name]?.trim(),
    ]),
  );
  // A password is taken as it is.
  if (env.GANGWAY_ADMIN_PASSWORD) given.GANGWAY_ADMIN_PASSWORD = env.GANGWAY_ADMIN_PASSWORD;
  for (const [one, other] of PAIRS) {
    for (const [has, lacks] of [[one, other] as const, [other, one] as const]) {
      if (given[has] !== undefined && given[lacks] === undefined)
        throw new ConfigError(lacks, `${lacks} is missing: ${has} is set, and both belong together.`);
    }
  }
  const parsed = environment.safeParse(given);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    const name = String(issue?.path[0]);
    const shown = SECRET.has(name) ? "" : `, but is ${JSON.stringify(given[name])}`;
    throw new ConfigError(name, `${name} ${issue?.message}${shown}.`);
  }
  const value = parsed.data;
  const dataDir = resolve(value.GANGWAY_DATA);
  makeDataDir(dataDir);
  const publicHost = value.GANGWAY_PUBLIC_HOST ?? defaultPublicHost();
  return {
    dataDir,
    databaseUrl: parseDatabaseUrl(value.DATABASE_URL, dataDir),
    secret: value.GANGWAY_SECRET ?? null,
    host: value.GANGWAY_HOST ?? defaultBindHost(),
    portalPort: value.PORT,
    httpsPort: value.GANGWAY_HTTPS_PORT,
    tls:
      value.GANGWAY_TLS_CERT && value.GANGWAY_TLS_KEY
        ? { certFile: resolve(value.GANGWAY_TLS_CERT), keyFile: resolve(value.GANGWAY_TLS_KEY) }
        : null,
    bootstrapPort: value.GANGWAY_BOOTSTRAP_PORT,
    lwm2mPort: value.GANGWAY_LWM2M_PORT,
    coapBootstrapPort: value.GANGWAY_COAP_BOOTSTRAP_PORT,
    coapLwm2mPort: value.GANGWAY_COAP_LWM2M_PORT,
    insecureCoap: value.GANGWAY_INSECURE_COAP,
    publicHost,
    publicHostIsLocal: isLocalHost(publicHost),
    admin:
      value.GANGWAY_ADMIN_EMAIL && value.GANGWAY_ADMIN_PASSWORD
        ? { email: value.GANGWAY_ADMIN_EMAIL, password: value.GANGWAY_ADMIN_PASSWORD }
        : null,
    trustProxy: value.GANGWAY_TRUST_PROXY,
    callbackAllow: value.GANGWAY_CALLBACK_ALLOW,
    logLevel: value.GANGWAY_LOG_LEVEL,
  };
}

function makeDataDir(dataDir: string): void {
  try {
    mkdirSync(dataDir, { recursive: true, mode: 0o700 });
    accessSync(dataDir, constants.R_OK | constants.W_OK | constants.X_OK);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    throw new ConfigError(
      "GANGWAY_DATA",
      `GANGWAY_DATA must be a folder that can be written: ${dataDir} (${code}).`,
    );
  }
}

function parseDatabaseUrl(url: string | undefined, dataDir: string): string {
  if (url === undefined) return `file:${join(dataDir, "gangway.db")}`;
  if (/^postgres(ql)?:/i.test(url)) {
    throw new ConfigError(
      "DATABASE_URL",
      "DATABASE_URL names a PostgreSQL database, which is not supported by this build yet; use file:<path> or leave it out.",
    );
  }
  const path = /^file:(?:\/\/(?=\/))?([^?#]+)/.exec(url)?.[1];
  if (!path)
    throw new ConfigError("DATABASE_URL", "DATABASE_URL must be file:<path of the SQLite database>.");
  return `file:${resolve(path)}`;
}
