import { createApiKey } from "@/server/services/api-keys/create";
import { listApiKeys } from "@/server/services/api-keys/list";
import { removeApiKey } from "@/server/services/api-keys/remove";
import { withAccount } from "../app";
import { choose } from "../choose";
import { accountHelp, accountOption, type Command, jsonHelp, jsonOption, text } from "../command";
import { json, moment, table } from "../table";

export const keyCommands: readonly Command[] = [
  {
    words: ["keys", "create"],
    positionals: ["NAME"],
    options: { ...accountOption, administrator: { type: "boolean" } },
    optionHelp: [accountHelp, ["--administrator", "the key may do what only administrators may"]],
    summary: "Makes an API key and prints it, and nothing else.",
    details: "The key is shown only now; Gangway keeps a hash of it.",
    async run(io, args) {
      await withAccount(io, text(args, "account"), async ({ ctx }) => {
        const { key } = await createApiKey(ctx, {
          name: args.positionals[0] ?? "",
          role: args.values.administrator ? "administrator" : "developer",
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
