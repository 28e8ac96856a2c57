import { readFile } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { type Arguments, type Command, text } from "../command";
import { CliError, UsageError } from "../io";
import { printable } from "../table";

/** More than one process can serve, and a slip of the finger. */
const MAX_DEVICES = 10_000;

function wholeNumber(args: Arguments, option: string, max: number): number | undefined {
  const value = text(args, option);
  if (value === undefined) return undefined;
  const number = Number(value);
  if (!/^\d+$/.test(value) || number < 1 || number > max)
    throw new UsageError(`--${option} must be a whole number from 1 to ${max}.`);
  return number;
}

export const runCommands: readonly Command[] = [
  {
    words: ["device", "run"],
    positionals: ["BUNDLE.zip"],
    options: {
      count: { type: "string" },
      profile: { type: "string" },
      transport: { type: "string" },
      state: { type: "string" },
      lifetime: { type: "string" },
    },
    optionHelp: [
      ["--count N", "how many devices; 1 when left out"],
      [
        "--profile NAME",
        "reference, our own client and the default, or pelion: speaks as mbed-cloud-client does",
      ],
      ["--transport udp|tcp", "DTLS over UDP, the default, or TLS over TCP"],
      ["--state DIR", "where they keep their credentials; beside the bundle when left out"],
      ["--lifetime SECONDS", "of their registrations; 300 when left out, 7200 with --profile pelion"],
    ],
    summary: "Runs the reference device until Ctrl-C.",
    details: "Started again with the same state, a device goes on with its ID and its LwM2M credentials.",
    async run(io, args) {
      const name = args.positionals[0] ?? "";
      const count = wholeNumber(args, "count", MAX_DEVICES);
      const lifetime = wholeNumber(args, "lifetime", 0x7fffffff);
      const transport = text(args, "transport") ?? "udp";
      if (transport !== "udp" && transport !== "tcp") throw new UsageError("--transport must be udp or tcp.");
      const profile = text(args, "profile") ?? "reference";
      if (profile !== "reference" && profile !== "pelion")
        throw new UsageError("--profile must be reference or pelion.");
      const file = resolve(io.cwd, name);
      const bundle = await readFile(file).catch((error: NodeJS.ErrnoException) => {
        throw new CliError(
          error.code === "ENOENT" ? `There is no file ${name}.` : `Cannot read ${name}: ${error.message}.`,
        );
      });
      const state = text(args, "state");
      // Loaded here: nothing else needs the protocol stack, which takes its time.
      const { runDevices } = await import("@/server/device");
      const running = await runDevices({
        bundle,
        profile,
        transport,
        stateDir: state ? resolve(io.cwd, state) : join(dirname(file), `${basename(file, ".zip")}-devices`),
        log: {
          info: (message) => io.out(`${printable(message)}\n`),
          warn: (message) => io.err(`${printable(message)}\n`),
        },
        signal: io.interrupted(),
        ...(count !== undefined && { count }),
        ...(lifetime !== undefined && { lifetime }),
      });
      await running.stopped;
    },
  },
];
