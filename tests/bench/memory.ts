import { systemClock } from "@/server/clock";
import { CoapEndpoint } from "@/server/coap";
import { newId } from "@/server/services/ids";
import { connectDtls, connectUdp, type Peer } from "@/server/transport";
import { type GatewayProcess, startGatewayProcess } from "../support/gateway-process";
import { createBootstrappedDevices } from "../support/lwm2m-device";
import { concurrently } from "./_measure";

export const name = "Memory of idle devices";

/** They come first, so that code, pools and caches are there before the ones that are counted. */
const WARM_UP = 1500;
const DEVICES = 6000;
const AT_A_TIME = 48;

/** What one registered device adds to the gateway, in bytes. */
interface Growth {
  used: number;
  heap: number;
}

/** Registers devices, each on a session of its own, and says what one of them adds. */
async function growth(gateway: GatewayProcess, connect: (n: number) => Promise<Peer>): Promise<Growth> {
  gateway.bus.watch([]);
  const coap = new CoapEndpoint({ clock: systemClock, handler: () => ({ code: "4.04" }) });
  const peers: Peer[] = [];
  const register = async (n: number) => {
    const peer = await connect(n);
    peers.push(peer);
    coap.attach(peer);
    const answer = await coap.request(peer, {
      method: "POST",
      path: ["rd"],
      query: [`ep=device-${n}`, "lt=86400", "lwm2m=1.1", "b=U"],
      contentFormat: 40,
      payload: Buffer.from("</1/0>,</3/0>,</3303/0>"),
    });
    if (answer.code !== "2.01") throw new Error(`Answered ${answer.code}.`);
  };
  const numbers = Array.from({ length: WARM_UP + DEVICES }, (_, n) => n);
  await concurrently(numbers.slice(0, WARM_UP), AT_A_TIME, register);
  const before = await gateway.memory();
  await concurrently(numbers.slice(WARM_UP), AT_A_TIME, register);
  const after = await gateway.memory();
  for (const peer of peers) peer.close();
  await gateway.close();
  return {
    used: (after.used - before.used) / DEVICES,
    heap: (after.heap - before.heap) / DEVICES,
  };
}

/** Devices of which only the registration and its address are kept. */
async function plain(): Promise<Growth> {
  const gateway = await startGatewayProcess(async (context, accountId) => {
    const data = Array.from({ length: WARM_UP + DEVICES }, (_, n) => ({
      id: newId(),
      accountId,
      endpointName: `device-${n}`,
      identity: `ep:device-${n}`,
      state: "bootstrapped",
    }));
    await context.db.device.createMany({ data });
  });
  const { coapLwm2mPort: port } = gateway.config;
  return growth(gateway, () => connectUdp({ host: "127.0.0.1", port, clock: systemClock }));
}

async function secured(): Promise<Growth> {
  let devices: Awaited<ReturnType<typeof createBootstrappedDevices>> = [];
  const gateway = await startGatewayProcess(async (context, accountId) => {
    devices = await createBootstrappedDevices(context, accountId, WARM_UP + DEVICES);
  });
  const { lwm2mPort: port } = gateway.config;
  return growth(gateway, (n) => {
    const { credentials, serverCa } = devices[n] as (typeof devices)[number];
    return connectDtls({ host: "127.0.0.1", port, credentials, ca: [serverCa], clock: systemClock });
  });
}

export async function run() {
  const [bare, dtls] = [await plain(), await secured()];
  const row = (metric: string, value: number) => ({ metric, value, unit: "bytes" });
  return [
    {
      ...row("idle DTLS device beyond one on plain CoAP", dtls.used - bare.used),
      aim: 4096,
      limitedBy: "keys, identity and windows of the session; native memory moves by 2 kB from run to run",
    },
    row("JavaScript's part of it", dtls.heap - bare.heap),
    row("registered device on DTLS, all in all", dtls.used),
    row("registered device on plain CoAP, all in all", bare.used),
  ];
}
