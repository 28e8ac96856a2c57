import type { OperationResult } from "@/server/bus/messages";
import type { Context } from "@/server/services/context";
import { factoryResetDevice } from "@/server/services/devices/factory-reset";
import { getDevice } from "@/server/services/devices/get";
import { deviceSorts, listDevices } from "@/server/services/devices/list";
import { rebootDevice } from "@/server/services/devices/reboot";
import { rebootstrapDevice } from "@/server/services/devices/rebootstrap";
import { removeDevice } from "@/server/services/devices/remove";
import { renewDeviceCertificate } from "@/server/services/devices/renew-certificate";
import { type DeviceRow, deviceStates } from "@/server/services/devices/view";
import { isId } from "@/server/services/ids";
import { withAccount } from "../app";
import { choose } from "../choose";
import {
  type Arguments,
  accountHelp,
  accountOption,
  type Command,
  jsonHelp,
  jsonOption,
  text,
} from "../command";
import { CliError, UsageError } from "../io";
import { json, moment, printable, table } from "../table";

const PAGE = 200;

function oneOf<T extends string>(args: Arguments, option: string, allowed: readonly T[]): T | undefined {
  const value = text(args, option);
  if (value === undefined) return undefined;
  const found = allowed.find((one) => one.toLowerCase() === value.toLowerCase());
  if (!found) throw new UsageError(`--${option} must be one of ${allowed.join(", ")}.`);
  return found;
}

/** Every page of a list. */
async function all(
  ctx: Context,
  input: Omit<Parameters<typeof listDevices>[1] & object, "page" | "pageSize">,
): Promise<DeviceRow[]> {
  const devices: DeviceRow[] = [];
  for (let page = 1; ; page++) {
    const { rows } = await listDevices(ctx, { ...input, page, pageSize: PAGE });
    devices.push(...rows);
    if (rows.length < PAGE) return devices;
  }
}

async function find(ctx: Context, wanted: string): Promise<DeviceRow> {
  if (isId(wanted)) return getDevice(ctx, { id: wanted });
  return choose("device", await all(ctx, { search: wanted }), wanted, (row) => [row.endpointName, row.name]);
}

/** A command that asks something of a device and says how that went. */
const asking = (
  word: string,
  what: string,
  summary: string,
  ask: (ctx: Context, input: { id: string }) => Promise<OperationResult>,
): Command => ({
  words: ["devices", word],
  positionals: ["ID|NAME"],
  options: accountOption,
  optionHelp: [accountHelp],
  summary,
  async run(io, args) {
    await withAccount(io, text(args, "account"), async ({ ctx }) => {
      const { id } = await find(ctx, args.positionals[0] ?? "");
      const { ok, message } = await ask(ctx, { id });
      if (!ok) throw new CliError(`${what} of ${id} did not work: ${message}.`);
      io.err(`${what} of ${id}: ${message}.\n`);
    });
  },
});

export const deviceCommands: readonly Command[] = [
  {
    words: ["devices", "list"],
    positionals: [],
    options: {
      ...accountOption,
      ...jsonOption,
      search: { type: "string" },
      state: { type: "string" },
      sort: { type: "string" },
    },
    optionHelp: [
      ["--search TEXT", "in name, endpoint name or description, or the beginning of the ID"],
      ["--state STATE", deviceStates.join(", ")],
      ["--sort FIELD", deviceSorts.join(", ")],
      accountHelp,
      jsonHelp,
    ],
    summary: "Lists the devices of the account.",
    async run(io, args) {
      const state = oneOf(args, "state", deviceStates);
      const sort = oneOf(args, "sort", deviceSorts);
      await withAccount(io, text(args, "account"), async ({ ctx }) => {
        const devices = await all(ctx, {
          search: text(args, "search") ?? "",
          ...(state && { state }),
          sort: sort ?? "created",
          order: sort === "lastSeen" ? "desc" : "asc",
        });
        if (args.values.json) return io.out(json(devices));
        if (devices.length === 0) return io.err("There are no devices.\n");
        io.out(
          table(
            ["ID", "ENDPOINT NAME", "NAME", "STATE", "ONLINE", "LAST SEEN"],
            devices.map((one) => [
              one.id,
              one.endpointName,
              one.name,
              one.state,
              one.online ? "yes" : "no",
              moment(one.lastSeenAt),
            ]),
          ),
        );
      });
    },
  },
  {
    words: ["devices", "show"],
    positionals: ["ID|NAME"],
    options: { ...accountOption, ...jsonOption },
    optionHelp: [accountHelp, jsonHelp],
    summary: "Shows what is known of a device.",
    async run(io, args) {
      await withAccount(io, text(args, "account"), async ({ ctx }) => {
        const { id } = await find(ctx, args.positionals[0] ?? "");
        const device = await getDevice(ctx, { id });
        if (args.values.json) return io.out(json(device));
        const facts: [string, string][] = [
          ["ID", device.id],
          ["Endpoint name", device.endpointName],
          ["Name", device.name],
          ["Description", device.description],
          ["State", device.state],
          ["Online", device.online ? "yes" : "no"],
          ["Last seen", moment(device.lastSeenAt)],
          ["Address", [device.address, device.transport].filter(Boolean).join(" over ")],
          ["Bootstrapped", moment(device.bootstrappedAt)],
          ["Registered", moment(device.registeredAt)],
          ["Registration until", moment(device.expiresAt)],
          ["Came in by", device.ca?.name ?? ""],
          ["LwM2M certificate", device.deviceKey ?? ""],
          ["Valid until", moment(device.connectorExpirationDate)],
          ...Object.entries(device.customAttributes),
        ];
        const width = Math.max(...facts.map(([name]) => name.length));
        io.out(facts.map(([name, value]) => `${name.padEnd(width)}  ${printable(value) || "–"}\n`).join(""));
      });
    },
  },
  {
    words: ["devices", "remove"],
    positionals: ["ID|NAME"],
    options: accountOption,
    optionHelp: [accountHelp],
    summary: "Takes a device out of the directory and ends its sessions.",
    async run(io, args) {
      await withAccount(io, text(args, "account"), async ({ ctx }) => {
        const device = await find(ctx, args.positionals[0] ?? "");
        await removeDevice(ctx, { id: device.id });
        io.err(`Device ${device.id} (“${printable(device.name || device.endpointName)}”) deleted.\n`);
      });
    },
  },
  {
    words: ["devices", "rebootstrap"],
    positionals: ["ID|NAME"],
    options: accountOption,
    optionHelp: [accountHelp],
    summary: "Sends a device back to the bootstrap server and says how.",
    async run(io, args) {
      await withAccount(io, text(args, "account"), async ({ ctx }) => {
        const device = await find(ctx, args.positionals[0] ?? "");
        const { message } = await rebootstrapDevice(ctx, { id: device.id });
        io.err(`Re-bootstrap of ${device.id}: ${message}.\n`);
      });
    },
  },
  asking("reboot", "Reboot", "Has a device start again.", rebootDevice),
  asking(
    "factory-reset",
    "Factory reset",
    "Has a device forget its credentials and settings, so that it bootstraps anew.",
    factoryResetDevice,
  ),
  asking(
    "renew",
    "Renewal",
    "Has a device of Pelion's kind make a new key and get a new LwM2M certificate.",
    renewDeviceCertificate,
  ),
];
