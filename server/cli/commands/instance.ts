import { loadConfig } from "@/server/config";
import { migrate } from "@/server/db";
import { getServerCa } from "@/server/services/instance/authorities";
import { withInstance } from "../app";
import type { Command } from "../command";

export const instanceCommands: readonly Command[] = [
  {
    words: ["ca", "show"],
    positionals: [],
    summary: "Prints the server CA, which devices must trust, as PEM.",
    async run(io) {
      await withInstance(io, async ({ system }) => io.out((await getServerCa(system)).pem));
    },
  },
  {
    words: ["migrate"],
    positionals: [],
    summary: "Brings the database up to this version.",
    async run(io) {
      const { applied } = await migrate(loadConfig(io.env));
      io.err(
        applied.length === 0 ? "The database is up to date.\n" : applied.map((name) => `${name}\n`).join(""),
      );
    },
  },
];
