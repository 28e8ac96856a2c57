import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { PelionDevice, pelionConnect } from "@/server/device";
import { type Bundle, readBundle } from "@/server/pki";
import { createDeveloperCertificate } from "@/server/services/certificates/create-developer";
import { takeBundle } from "@/server/services/certificates/take-bundle";
import { actAs } from "@/server/services/create-context";
import { ensureInstance } from "@/server/services/instance/ensure";
import { serviceUris } from "@/server/services/instance/uris";
import { type GatewayProcess, startGatewayProcess } from "../../support/gateway-process";
import { JumpClock } from "../../support/jump-clock";
import { MemoryStore } from "../../unit/device/pelion-server";

const DEVICES = 50;
/** The devices' patience is in seconds and minutes: their time goes by faster than ours. */
const STEP_MS = 20;
const JUMP_MS = 400;
const SLOW_JUMP_MS = 2000;

describe.each(["udp", "tcp"] as const)("fifty devices of Pelion's kind over %s", (transport) => {
  let gateway: GatewayProcess;
  let bundle: Bundle;

  beforeAll(async () => {
    gateway = await startGatewayProcess(async (context, accountId) => {
      await ensureInstance(context, { publicHost: "127.0.0.1" });
      const operator = actAs(context, { kind: "operator", accountId });
      await createDeveloperCertificate(operator, { name: "Fifty" });
    });
    const operator = actAs(gateway.context, { kind: "operator", accountId: gateway.accountId });
    const { id } = await gateway.db.trustedCertificate.findFirstOrThrow({ where: { developer: true } });
    bundle = readBundle((await takeBundle(operator, { id, uris: serviceUris(gateway.config) })).zip);
  }, 60_000);

  afterAll(() => gateway?.close());

  test("all onboard while the gateway is killed twice, and none gets a second ID", async () => {
    const clock = new JumpClock();
    const devices = Array.from({ length: DEVICES }, () => {
      const ids = new Set<string>();
      const log: string[] = [];
      const say = (line: string) => void log.push(`${new Date(clock.now()).toISOString()} ${line}`);
      const device: PelionDevice = new PelionDevice({
        ...{ bundle, transport, clock, store: new MemoryStore(), connect: pelionConnect(clock) },
        log: { info: say, warn: say },
        tickMs: 1e12,
        onphase: () => {
          if (device.phase === "registered" && device.deviceId) ids.add(device.deviceId);
        },
      });
      return { device, ids, log };
    });
    const registered = () => devices.filter(({ device }) => device.phase === "registered").length;
    const waitFor = async (count: number) => {
      const end = Date.now() + 60_000;
      while (registered() < count) {
        const stuck = devices.find(({ device }) => device.phase !== "registered");
        if (Date.now() > end) throw new Error(`Still ${stuck?.device.phase}: ${stuck?.log.join("\n")}`);
        await new Promise((resolve) => setTimeout(resolve, STEP_MS));
        // Those that are left wait longer and longer.
        clock.jump(Date.now() > end - 45_000 ? SLOW_JUMP_MS : JUMP_MS);
      }
    };
    try {
      for (const { device } of devices) device.setup().catch(() => {});
      for (const share of [0.2, 0.6]) {
        while (devices.filter(({ ids }) => ids.size > 0).length < DEVICES * share) {
          await new Promise((resolve) => setTimeout(resolve, 1));
          clock.jump(2);
        }
        await gateway.kill();
        await gateway.start();
      }
      await waitFor(DEVICES);
      const ids = devices.map(({ ids }) => [...ids]);
      expect(ids.filter((one) => one.length !== 1)).toEqual([]);
      expect(new Set(ids.flat()).size).toBe(DEVICES);
      // An entry whose certificate was on its way when the gateway died may be left over: no device ever knew of it.
      const rows = await gateway.db.device.findMany({ where: { state: "registered" }, select: { id: true } });
      expect(rows.map(({ id }) => id).sort()).toEqual(ids.flat().sort());
    } finally {
      await Promise.all(devices.map(({ device }) => device.stop()));
    }
  }, 120_000);
});
