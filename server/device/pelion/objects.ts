import type { Clock } from "@/server/clock";
import type { Delayed, PelionResource, PelionTree } from "./tree";

/** What the objects tell the client to do. */
export interface PelionActions {
  update(): void;
  lifetime(seconds: number): void;
  reboot(): void;
  disable(): void;
  factoryReset(): void;
  renew(call: Delayed): void;
}

/** Registrations shorter than that are refused, s. */
export const MIN_LIFETIME = 60;
/** How many bytes the big resource of the example holds. */
const BIG_VALUE = 2049;
/** FOTA results: the manifest is malformed; its status is the negative of it. */
const MANIFEST_MALFORMED = "22";
const IDLE = "1";

const text = (value: string, more: Partial<PelionResource> = {}): PelionResource => ({
  type: "string",
  value,
  ...more,
});
const whole = (value: number, more: Partial<PelionResource> = {}): PelionResource => ({
  type: "integer",
  value: String(value),
  ...more,
});

/** An executable resource: it answers when it is done. */
const delayed = (execute: (call: Delayed) => void, more: Partial<PelionResource> = {}): PelionResource => ({
  type: "string",
  readable: false,
  execute,
  ...more,
});

/** Puts the objects of the stock example into a tree, in the order in which they come to be. */
export function addPelionObjects(
  tree: PelionTree,
  facts: { lifetime: number; binding: string; shortServerId: number },
  actions: PelionActions,
  clock: Clock,
): void {
  const auto = { auto: true, publish: true };
  tree.add("1/0", {
    0: whole(facts.shortServerId, { obs: true }),
    1: whole(facts.lifetime, {
      obs: true,
      writable: true,
      check: (value) => (/^\d+$/.test(value) && Number(value) >= MIN_LIFETIME ? null : "4.06"),
      written: () => actions.lifetime(Number(tree.text("1/0/1"))),
    }),
    6: { type: "boolean", value: "0", obs: true, writable: true },
    7: text(facts.binding, { obs: true, writable: true }),
    4: delayed((call) => call.finish(undefined, actions.disable), { hidden: true }),
    8: delayed((call) => call.finish(undefined, actions.update)),
  });
  tree.add("3200/0", { 5501: whole(0, { obs: true, writable: true }) });
  tree.add("3201/0", {
    5853: text("500:500:500:500", { writable: true }),
    5850: delayed((call) => call.finish()),
  });
  tree.add("5000/0", { 2: text("x".repeat(BIG_VALUE), { obs: true, writable: true }) });
  tree.add("10252/0", {
    1: delayed(
      (call) => {
        call.finish();
        // The update certificate of the stock example is a stub: every manifest comes to the same end.
        tree.set("10252/0/2", "2");
        tree.set("10252/0/3", MANIFEST_MALFORMED);
        tree.set("10252/0/2", IDLE);
      },
      { rt: "Package" },
    ),
    2: whole(Number(IDLE), { rt: "State", ...auto }),
    3: whole(-1, { rt: "UpdateResult", ...auto }),
    5: text("", { rt: "PkgName", auto: true }),
    6: text("", { rt: "PkgVersion", auto: true }),
  });
  tree.add("10255/0", {
    0: whole(4, { rt: "ProtocolSupported", ...auto }),
    3: {
      type: "opaque",
      value: Buffer.from("fa6b4a53d5ad5fdfbe9de663e4d41ffe", "hex"),
      rt: "Vendor",
      ...auto,
    },
    4: { type: "opaque", value: new Uint8Array(16), rt: "Class", ...auto },
  });
  for (const [instance, name] of [
    ["14/0", "MAIN"],
    ["14/1", "METER"],
  ] as const) {
    tree.add(instance, {
      0: text(name, { rt: "Component Identity", publish: true }),
      2: text("0.0.0", { rt: "Component Version", publish: true }),
    });
  }
  tree.add("35011/0", { 27002: { ...delayed(actions.renew, { rt: "Enroll" }), type: "integer" } });

  let offset = 0;
  const now = () => String(Math.floor(clock.now() / 1000) + offset);
  // The client tells of these resources, but not of the object and the instance that hold them.
  tree.add(
    "3/0",
    {
      4: delayed((call) => call.finish(undefined, actions.reboot)),
      11: { type: "integer", obs: true },
      "11/0": whole(0, { obs: true }),
      16: text(facts.binding, { obs: true }),
      5: delayed((call) => call.finish(undefined, actions.factoryReset)),
      0: text("dev_manufacturer", auto),
      1: text("dev_model_num", auto),
      2: text("0", auto),
      17: text("dev_device_type", { obs: true }),
      18: text("dev_hardware_version", { obs: true }),
      21: whole(0, { obs: true }),
      13: {
        type: "time",
        obs: true,
        writable: true,
        refresh() {
          const node = tree.find("3/0/13");
          if (node) node.value = new Uint8Array(Buffer.from(now()));
        },
        written() {
          offset += Number(tree.text("3/0/13")) - Number(now());
        },
      },
    },
    true,
  );
}
