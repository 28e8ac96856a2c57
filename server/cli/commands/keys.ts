import { createApiKey } from "@/server/services/api-keys/create";
import { listApiKeys } from "@/server/services/api-keys/list";
import { removeApiKey } from "@/server/services/api-keys/remove";
import { type Scope, scopes } from "@/server/services/context";
import { withAccount } from "../app";
import { choose } from "../choose";
import { accountHelp, accountOption, type Command, jsonHelp, jsonOption, text } from "../command";
import { UsageError } from "../io";
import { json, moment, table } from "../table";

const isScope = (word: string): word is Scope => scopes.some((scope) => scope === word);

export const keyCommands: readonly Command[] = [
  {
    words: ["keys", "create"],
    positionals: ["NAME"],
    options: { ...accountOption, administrator: { type: "boolean" }, scopes: { type: "string" } },
    optionHelp: [
      accountHelp,
      ["--administrator", "the key may do what only administrators may"],
      ["--scopes LIST", `what else it is restricted to: ${scopes.join(",")}; all when left out`],
    ],
    summary: "Makes an API key and prints it, and nothing else.",
    details: "The key is shown only now; Gangway keeps a hash of it.",
    async run(io, args) {
      const given = text(args, "scopes")?.split(",");
      const unknown = given?.find((word) => !isScope(word));
      if (unknown !== undefined)
        throw new UsageError(`“${unknown}” is no scope: there are ${scopes.join(", ")}.`);
      await withAccount(io, text(args, "account"), async ({ ctx }) => {
        const { key } = await createApiKey(ctx, {
          name: args.positionals[0] ?? "",
          role: args.values.administrator ? "administrator" : "developer",
          ...(given && { scopes: given.filter(isScope) }),
        });
        io.out(`${key}\n`);
      });
    },
  },
  {
    words: ["keys", "list"],
    positionals: [],
    options: { ...accountOption, ...jsonOption },
    optionHelp: [accountHelp, jsonHelp],
    summary: "Lists the API keys, without their secrets.",
    async run(io, args) {
      await withAccount(io, text(args, "account"), async ({ ctx }) => {
        const keys = await listApiKeys(ctx);
        if (args.values.json) return io.out(json(keys));
        if (keys.length === 0) return io.err("There are no API keys.\n");
        io.out(
          table(
            ["ID", "NAME", "STATUS", "LAST USED", "CREATED"],
            keys.map((key) => [key.id, key.name, key.status, moment(key.lastUsedAt), moment(key.createdAt)]),
          ),
        );
      });
    },
  },
  {
    words: ["keys", "remove"],
    positionals: ["ID|NAME"],
    options: accountOption,
    optionHelp: [accountHelp],
    summary: "Deletes an API key; it opens nothing from then on.",
    async run(io, args) {
      await withAccount(io, text(args, "account"), async ({ ctx }) => {
        const key = choose("API key", await listApiKeys(ctx), args.positionals[0] ?? "", (one) => [one.name]);
        await removeApiKey(ctx, { id: key.id });
        io.err(`API key “${key.name}” deleted.\n`);
      });
    },
  },
];
