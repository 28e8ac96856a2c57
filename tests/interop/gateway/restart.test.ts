import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { systemClock } from "@/server/clock";
import { CoapEndpoint, CoapFailure } from "@/server/coap";
import { connectDtls, type Peer } from "@/server/transport";
import { type GatewayProcess, startGatewayProcess } from "../../support/gateway-process";
import { type BootstrappedDevice, createBootstrappedDevices } from "../../support/lwm2m-device";
import { dtlsRecords, UdpProxy } from "../../support/udp-proxy";

const DEVICES = 200;

const HANDSHAKE = 22;
const CLIENT_HELLO = 1;

/** A device as its own network stack sees it. */
interface Client {
  device: BootstrappedDevice;
  peer: Peer | null;
  handshakes: number;
  location: string[] | null;
}

describe("a gateway that is killed while 200 devices register", () => {
  let gateway: GatewayProcess;
  let proxy: UdpProxy;
  let devices: BootstrappedDevice[] = [];
  const sessions = new Map<number, number>();
  const written = new Map<string, number>();
  const coap = new CoapEndpoint({
    clock: systemClock,
    handler: () => ({ code: "4.04" }),
    parameters: { ackTimeoutMs: 400, maxRetransmit: 5 },
  });

  beforeAll(async () => {
    gateway = await startGatewayProcess(async (context, accountId) => {
      devices = await createBootstrappedDevices(context, accountId, DEVICES);
    });
    proxy = await UdpProxy.open(gateway.config.lwm2mPort, ({ client, toServer, datagram }) => {
      for (const { type, epoch, sequence, body } of dtlsRecords(datagram)) {
        // Ports come back: a ClientHello begins another session with keys of its own.
        if (toServer && type === HANDSHAKE && epoch === 0 && body[0] === CLIENT_HELLO)
          sessions.set(client, (sessions.get(client) ?? 0) + 1);
        if (toServer || epoch === 0) continue;
        const key = `${client} ${sessions.get(client)} ${epoch} ${sequence}`;
        written.set(key, (written.get(key) ?? 0) + 1);
      }
    });
  }, 60_000);

  afterAll(async () => {
    proxy?.close();
    await gateway?.close();
  });

  async function connect(client: Client): Promise<Peer> {
    if (client.peer && !client.peer.closed) return client.peer;
    client.handshakes += 1;
    client.peer = await connectDtls({
      host: "127.0.0.1",
      port: proxy.port,
      credentials: client.device.credentials,
      ca: [client.device.serverCa],
      clock: systemClock,
      timeoutMs: 2000,
    });
    coap.attach(client.peer);
    return client.peer;
  }

  /** Registers as a device would: again until it is answered, with a new handshake only when the old session is silent. */
  async function register(client: Client): Promise<void> {
    while (!client.location) {
      try {
        const answer = await coap.request(await connect(client), {
          method: "POST",
          path: ["rd"],
          query: [`ep=${client.device.endpointName}`, "lt=600", "lwm2m=1.1", "b=U"],
          contentFormat: 40,
          payload: Buffer.from("</1/0>,</3/0>"),
          timeoutMs: 3000,
        });
        expect(answer.code).toBe("2.01");
        client.location = [...answer.locationPath];
      } catch (error) {
        // A handshake that the kill cut in two fails in one way or another.
        if (!(error instanceof CoapFailure) && !/did not answer|the handshake with/.test(String(error)))
          throw error;
        client.peer?.close();
        client.peer = null;
      }
    }
  }

  it("loses nothing that was answered, and devices go on in their sessions", async () => {
    const clients: Client[] = devices.map((device) => ({
      device,
      peer: null,
      handshakes: 0,
      location: null,
    }));
    const registering = Promise.all(clients.map(register));
    const answered = () => clients.filter(({ location }) => location !== null);
    while (answered().length < DEVICES / 3) await new Promise((resolve) => setImmediate(resolve));

    await gateway.kill();
    const before = answered();
    expect(before.length).toBeLessThan(DEVICES);
    const stored = new Set(
      (await gateway.db.registration.findMany({ select: { id: true } })).map(
        (registration) => registration.id,
      ),
    );
    expect(before.filter(({ location }) => !stored.has((location ?? []).slice(1).join("/")))).toEqual([]);

    await gateway.start();
    await registering;
    const handshakes = before.map((client) => client.handshakes);
    for (const client of before) {
      const answer = await coap.request(client.peer as Peer, {
        method: "POST",
        path: client.location ?? [],
        timeoutMs: 6000,
      });
      expect(answer.code).toBe("2.04");
    }
    expect(before.map((client) => client.handshakes)).toEqual(handshakes);
    expect(await gateway.db.registration.count()).toBe(DEVICES);
    expect(await gateway.db.device.count({ where: { state: "registered" } })).toBe(DEVICES);
    expect([...written].filter(([, times]) => times > 1)).toEqual([]);
  }, 60_000);

  it("reads from a device whose session it never saw begin", async () => {
    // The gateway that answers now did not make these handshakes, and sends first.
    await gateway.kill();
    await gateway.start();
    const { accountId, bus } = gateway;
    const result = await bus.request("device.read", {
      accountId,
      deviceId: devices[0]?.id ?? "",
      path: "/3/0",
    });
    // The test's device answers every request with 4.04: what matters is that it heard it.
    expect(result).toMatchObject({ code: "4.04" });
    expect([...written].filter(([, times]) => times > 1)).toEqual([]);
  }, 30_000);
});
