import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { type RunningDevices, runDevices } from "@/server/device";
import { createDeveloperCertificate } from "@/server/services/certificates/create-developer";
import { takeBundle } from "@/server/services/certificates/take-bundle";
import { actAs } from "@/server/services/create-context";
import { serviceUris } from "@/server/services/instance/uris";
import { fastClock } from "../../support/fast-clock";
import { type GatewayProcess, startGatewayProcess } from "../../support/gateway-process";

const DEVICES = 25;
/** Devices wait for 13 s and longer before they come back. */
const SPEED = 20;

let gateway: GatewayProcess;
const folder = mkdtempSync(join(tmpdir(), "gangway-pelion-"));
const running: RunningDevices[] = [];

beforeAll(async () => {
  gateway = await startGatewayProcess();
}, 60_000);

afterAll(async () => {
  await Promise.all(running.map((devices) => devices.stop()));
  await gateway?.close();
  rmSync(folder, { recursive: true, force: true });
});

it("gets fifty devices of Pelion's kind on board although it is killed twice, none with a second ID", async () => {
  const { context, accountId, config, db } = gateway;
  const owner = actAs(context, { kind: "operator", accountId });
  const { id } = await createDeveloperCertificate(owner, { name: "fifty" });
  const { zip } = await takeBundle(owner, { id, uris: serviceUris(config) });
  for (const transport of ["udp", "tcp"] as const)
    running.push(
      await runDevices({
        bundle: zip,
        count: DEVICES,
        profile: "pelion",
        transport,
        stateDir: join(folder, transport),
        clock: fastClock(SPEED),
        log: { info: () => {}, warn: () => {} },
      }),
    );
  const onBoard = Promise.all(running.map(({ registered }) => registered));

  for (const share of [0.2, 0.6]) {
    const wanted = share * 2 * DEVICES;
    while ((await db.device.count({ where: { state: "registered" } })) < wanted)
      await new Promise((resolve) => setTimeout(resolve, 10));
    await gateway.kill();
    await gateway.start();
  }
  await onBoard;

  const devices = running.flatMap((run) => run.devices);
  const ids = new Set(devices.map(({ deviceId }) => deviceId));
  expect(ids.size).toBe(2 * DEVICES);
  expect(ids.has(null)).toBe(false);
  const entries = await db.device.findMany({ select: { id: true, state: true } });
  expect(
    entries
      .filter(({ state }) => state === "registered")
      .map((entry) => entry.id)
      .sort(),
  ).toEqual([...ids].sort());
}, 120_000);
