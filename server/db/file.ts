import type { Config } from "../config";

/** The path in a `file:` URL as loadConfig makes it. */
export const databaseFile = (config: Pick<Config, "databaseUrl">) => config.databaseUrl.replace(/^file:/, "");
