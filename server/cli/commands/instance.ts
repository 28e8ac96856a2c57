import { randomBytes } from "node:crypto";
import { loadConfig } from "@/server/config";
import { migrate } from "@/server/db";
import { defaultAccount } from "@/server/services/accounts/default";
import { actAs } from "@/server/services/create-context";
import { getServerCa } from "@/server/services/instance/authorities";
import { createFirstAdministrator } from "@/server/services/instance/setup";
import { createUser } from "@/server/services/users/create";
import { withInstance } from "../app";
import { type Command, text } from "../command";

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
    words: ["users", "create-admin"],
    positionals: ["EMAIL"],
    options: { name: { type: "string" }, "password-stdin": { type: "boolean" } },
    optionHelp: [
      ["--name NAME", "how the portal greets them"],
      ["--password-stdin", "read the password from standard input"],
    ],
    summary: "Makes an administrator, and the first account when there is none.",
    details: "Without --password-stdin a password is made and printed, and nothing else.",
    async run(io, args) {
      const given = args.values["password-stdin"] === true;
      const password = given
        ? (await io.input()).replace(/\r?\n$/, "")
        : randomBytes(15).toString("base64url");
      const user = {
        email: args.positionals[0] ?? "",
        password,
        ...(text(args, "name") !== undefined && { name: text(args, "name") }),
      };
      await withInstance(io, async ({ system }) => {
        const account = await defaultAccount(system);
        if (account) {
          const operator = actAs(system, { kind: "operator", accountId: account.id });
          await createUser(operator, { ...user, role: "administrator" });
        } else await createFirstAdministrator(system, { token: null, ...user });
      });
      if (given) io.err("Administrator made.\n");
      else io.out(`${password}\n`);
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
