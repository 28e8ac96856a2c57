import { randomBytes } from "node:crypto";
import { defaultAccount } from "@/server/services/accounts/default";
import { listAccounts } from "@/server/services/accounts/list";
import { createAccount } from "@/server/services/accounts/manage";
import { actAs } from "@/server/services/create-context";
import { createFirstAdministrator } from "@/server/services/instance/setup";
import { createUser } from "@/server/services/users/create";
import { chooseAccount, withInstance } from "../app";
import {
  type Arguments,
  accountHelp,
  accountOption,
  type Command,
  jsonHelp,
  jsonOption,
  text,
} from "../command";
import { type Io, UsageError } from "../io";
import { json, moment, table } from "../table";

const passwordOptions = { name: { type: "string" }, "password-stdin": { type: "boolean" } } as const;
const passwordHelp = [
  ["--name NAME", "how the portal greets them"],
  ["--password-stdin", "read the password from standard input"],
] as const;
const passwordDetails = "Without --password-stdin a password is made and printed, and nothing else.";

/** Makes a person with the password that is given or made, and says which. */
async function withPassword(
  io: Io,
  args: Arguments,
  email: string,
  made: string,
  run: (person: { email: string; password: string; name?: string }) => Promise<void>,
): Promise<void> {
  const given = args.values["password-stdin"] === true;
  const password = given ? (await io.input()).replace(/\r?\n$/, "") : randomBytes(15).toString("base64url");
  const name = text(args, "name");
  await run({ email, password, ...(name !== undefined && { name }) });
  if (given) io.err(`${made}\n`);
  else io.out(`${password}\n`);
}

export const accountCommands: readonly Command[] = [
  {
    words: ["accounts", "create"],
    positionals: ["NAME"],
    options: { ...passwordOptions, admin: { type: "string" } },
    optionHelp: [["--admin EMAIL", "its first administrator"], ...passwordHelp],
    summary: "Makes an account with its first administrator.",
    details: `${passwordDetails} Administrators of the first account run the instance.`,
    async run(io, args) {
      const email = text(args, "admin");
      if (!email) throw new UsageError("--admin EMAIL is needed.");
      const accountName = args.positionals[0] ?? "";
      await withPassword(io, args, email, "Account made.", (administrator) =>
        withInstance(io, async ({ system }) => {
          const first = await defaultAccount(system);
          if (first) {
            const operator = actAs(system, { kind: "operator", accountId: first.id });
            await createAccount(operator, { name: accountName, administrator });
          } else await createFirstAdministrator(system, { token: null, ...administrator, accountName });
        }),
      );
    },
  },
  {
    words: ["accounts", "list"],
    positionals: [],
    options: jsonOption,
    optionHelp: [jsonHelp],
    summary: "Lists the accounts of the instance.",
    async run(io, args) {
      await withInstance(io, async ({ system }) => {
        const accounts = await listAccounts(system);
        if (args.values.json) return io.out(json(accounts));
        if (accounts.length === 0) return io.err("There are no accounts.\n");
        io.out(
          table(
            ["ID", "NAME", "STATUS", "CREATED"],
            accounts.map(({ id, name, status, createdAt }) => [id, name, status, moment(createdAt)]),
          ),
        );
      });
    },
  },
  {
    words: ["users", "create-admin"],
    positionals: ["EMAIL"],
    options: { ...passwordOptions, ...accountOption },
    optionHelp: [...passwordHelp, accountHelp],
    summary: "Makes an administrator, and the first account when there is none.",
    details: passwordDetails,
    async run(io, args) {
      const named = text(args, "account");
      await withPassword(io, args, args.positionals[0] ?? "", "Administrator made.", (user) =>
        withInstance(io, async ({ system }) => {
          if (named === undefined && !(await defaultAccount(system))) {
            await createFirstAdministrator(system, { token: null, ...user });
            return;
          }
          const { id } = await chooseAccount(system, named);
          const operator = actAs(system, { kind: "operator", accountId: id });
          await createUser(operator, { ...user, role: "administrator" });
        }),
      );
    },
  },
];
