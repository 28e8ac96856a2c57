import { systemClock } from "@/server/clock";
import { CoapEndpoint } from "@/server/coap";
import { connectDtls, type Peer } from "@/server/transport";
import { startGatewayProcess } from "../support/gateway-process";
import { createFactoryDevices, type FactoryDevice } from "./_devices";
import { concurrently, measure, rateRows } from "./_measure";

export const name = "Complete bootstraps over DTLS";

const DEVICES = 3000;
const WARM_UP = 500;
const AT_A_TIME = 64;
/** What a client says of itself in Bootstrap-Discover. */
const OBJECTS = Buffer.from("</>;lwm2m=1.1,</0/1>,</1>,</3/0>,</5>;ver=1.1");

export async function run() {
  let made: Awaited<ReturnType<typeof createFactoryDevices>> | null = null;
  const gateway = await startGatewayProcess(async (context, accountId) => {
    const names = Array.from({ length: WARM_UP + DEVICES }, (_, n) => `bench-${n}`);
    made = await createFactoryDevices(context, accountId, names);
  });
  gateway.bus.watch([]);
  if (!made) throw new Error("There are no devices.");
  const { devices, serverCa } = made as Awaited<ReturnType<typeof createFactoryDevices>>;
  const finished = new Map<Peer, { writes: Set<string>; done(writes: Set<string>): void }>();
  const coap = new CoapEndpoint({
    clock: systemClock,
    handler: ({ peer, method, path }) => {
      const session = finished.get(peer);
      if (method === "GET") return { code: "2.05", contentFormat: 40, payload: OBJECTS };
      if (method === "PUT") session?.writes.add(`/${path.join("/")}`);
      if (method === "POST" && path[0] === "bs")
        return { code: "2.04", sent: () => session?.done(session.writes) };
      return { code: "2.04" };
    },
  });

  const bootstrap = async ({ endpointName, credentials }: FactoryDevice) => {
    const peer = await connectDtls({
      host: "127.0.0.1",
      port: gateway.config.bootstrapPort,
      credentials,
      ca: [serverCa],
      clock: systemClock,
    });
    coap.attach(peer);
    const end = new Promise<Set<string>>((done) => finished.set(peer, { writes: new Set(), done }));
    const answer = await coap.request(peer, { method: "POST", path: ["bs"], query: [`ep=${endpointName}`] });
    if (answer.code !== "2.04") throw new Error(`Answered ${answer.code}.`);
    const writes = await end;
    if (!writes.has("/0/0") || !writes.has("/1/0")) throw new Error(`Written: ${[...writes].join(", ")}.`);
    finished.delete(peer);
    peer.close();
  };

  try {
    await concurrently(devices.slice(0, WARM_UP), AT_A_TIME, bootstrap);
    const rate = await measure(gateway, DEVICES, () =>
      concurrently(devices.slice(WARM_UP), AT_A_TIME, bootstrap),
    );
    // The last ones are committed after the device's answer.
    const bootstrapped = () => gateway.db.device.count({ where: { state: "bootstrapped" } });
    for (let tries = 0; (await bootstrapped()) < devices.length; tries++) {
      if (tries > 100) throw new Error(`${await bootstrapped()} devices are bootstrapped.`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    return rateRows(
      "complete bootstraps with handshake and certificate",
      rate,
      400,
      "OpenSSL's handshake (a third of it), commits (a fifth), then datagrams, chain and key",
    );
  } finally {
    await gateway.close();
  }
}
