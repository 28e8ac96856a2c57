import { open, rm } from "node:fs/promises";
import { resolve } from "node:path";
import { createDeveloperCertificate } from "@/server/services/certificates/create-developer";
import { listCertificates } from "@/server/services/certificates/list";
import { removeCertificate } from "@/server/services/certificates/remove";
import { takeBundle } from "@/server/services/certificates/take-bundle";
import { deviceUris } from "@/server/services/instance/uris";
import { withAccount } from "../app";
import { choose } from "../choose";
import { accountHelp, accountOption, type Command, jsonHelp, jsonOption, text } from "../command";
import { CliError, UsageError } from "../io";
import { day, json, table } from "../table";

export const certificateCommands: readonly Command[] = [
  {
    words: ["certs", "create"],
    positionals: ["NAME"],
    options: { ...accountOption, out: { type: "string" }, description: { type: "string" } },
    optionHelp: [
      ["--out FILE.zip", "where the bundle is written; it must not be there yet"],
      ["--description TEXT", "what it is for"],
      accountHelp,
    ],
    summary: "Makes a developer certificate and writes its bundle.",
    details:
      "The bundle holds the private key, which Gangway erases on its side. Up to 100 devices can share one certificate.",
    async run(io, args) {
      const out = text(args, "out");
      if (!out) throw new UsageError("--out FILE.zip is needed.");
      const file = resolve(io.cwd, out);
      // Made first: a certificate whose key could not be written would be lost.
      const handle = await open(file, "wx", 0o600).catch((error: NodeJS.ErrnoException) => {
        throw new CliError(
          error.code === "EEXIST"
            ? `${out} is there already: choose another name.`
            : `Cannot write ${out}: ${error.message}.`,
        );
      });
      try {
        await withAccount(io, text(args, "account"), async ({ ctx, config }) => {
          const uris = await deviceUris(ctx, config);
          const made = await createDeveloperCertificate(ctx, {
            name: args.positionals[0] ?? "",
            description: text(args, "description") ?? "",
          });
          const { zip } = await takeBundle(ctx, { id: made.id, uris });
          await handle.writeFile(zip);
          await handle.sync();
          io.err(`Developer certificate “${made.name}” made; its bundle is ${out}.\n`);
        });
      } catch (error) {
        await handle.close();
        await rm(file, { force: true });
        throw error;
      }
      await handle.close();
    },
  },
  {
    words: ["certs", "list"],
    positionals: [],
    options: { ...accountOption, ...jsonOption },
    optionHelp: [accountHelp, jsonHelp],
    summary: "Lists the certificates that devices may come in by.",
    async run(io, args) {
      await withAccount(io, text(args, "account"), async ({ ctx }) => {
        const certificates = await listCertificates(ctx);
        if (args.values.json) return io.out(json(certificates));
        if (certificates.length === 0) return io.err("There are no certificates.\n");
        io.out(
          table(
            ["ID", "NAME", "DEVICES", "VALID UNTIL", "ENDPOINT NAME"],
            certificates.map((one) => [
              one.id,
              one.name,
              one.developer ? `${one.devicesUsed}/${one.deviceLimit}` : String(one.devicesUsed),
              day(one.notAfter),
              one.endpointName ?? "",
            ]),
          ),
        );
      });
    },
  },
  {
    words: ["certs", "remove"],
    positionals: ["ID|NAME"],
    options: accountOption,
    optionHelp: [accountHelp],
    summary: "Stops trusting a certificate and ends the sessions of its devices.",
    async run(io, args) {
      await withAccount(io, text(args, "account"), async ({ ctx }) => {
        const wanted = args.positionals[0] ?? "";
        const one = choose("certificate", await listCertificates(ctx), wanted, ({ name }) => [name]);
        const { devices } = await removeCertificate(ctx, { id: one.id });
        io.err(
          `Certificate “${one.name}” deleted; ${devices === 1 ? "1 device" : `${devices} devices`} came in by it.\n`,
        );
      });
    },
  },
];
