import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { systemClock } from "@/server/clock";
import { CoapEndpoint } from "@/server/coap";
import { connectDtls, type Peer } from "@/server/transport";
import { type GatewayProcess, startGatewayProcess } from "../../support/gateway-process";
import { type BootstrappedDevice, createBootstrappedDevices } from "../../support/lwm2m-device";
import { UdpProxy } from "../../support/udp-proxy";

const HANDSHAKE = 22;
const TLS12_CID = 25;
const LINKS = "</1/0>,</3/0>,</3303/0>";

describe("a device with a connection id [RFC9146] behind a network address translator", () => {
  let gateway: GatewayProcess;
  let proxy: UdpProxy;
  let device: BootstrappedDevice;
  let peer: Peer;
  /** Content types of the first records of what the device sent. */
  const sent: number[] = [];
  const asked: string[] = [];
  const coap = new CoapEndpoint({
    clock: systemClock,
    handler: ({ path, observe }) => {
      asked.push(`/${path.join("/")}`);
      return { code: "2.05", contentFormat: 0, payload: "20.5", ...(observe === 0 && { observe: () => {} }) };
    },
  });

  beforeAll(async () => {
    gateway = await startGatewayProcess(async (context, accountId) => {
      [device] = (await createBootstrappedDevices(context, accountId, 1)) as [BootstrappedDevice];
    });
    proxy = await UdpProxy.open(gateway.config.lwm2mPort, ({ toServer, datagram }) => {
      if (toServer) sent.push(datagram.readUInt8(0));
    });
    peer = await connectDtls({
      host: "127.0.0.1",
      port: proxy.port,
      credentials: device.credentials,
      ca: [device.serverCa],
      clock: systemClock,
      cid: true,
    });
    coap.attach(peer);
  }, 60_000);

  afterAll(async () => {
    peer?.close();
    proxy?.close();
    await gateway?.close();
  });

  const address = async () =>
    (await gateway.db.registration.findUnique({ where: { deviceId: device.id } }))?.address ?? "";
  const post = (path: readonly string[], query: readonly string[] = [], payload = "") =>
    coap.request(peer, { method: "POST", path, query, payload: Buffer.from(payload), timeoutMs: 10_000 });
  const ask = (operation: "read" | "observe", path: string) =>
    gateway.bus.request(`device.${operation}`, { accountId: gateway.accountId, deviceId: device.id, path });

  it("goes on when its address changes, also over a kill of the gateway, and without a handshake", async () => {
    const { code, locationPath } = await post(["rd"], ["lwm2m=1.1", "lt=600"], LINKS);
    expect(code).toBe("2.01");
    expect(await ask("observe", "/3303/0/5700")).toMatchObject({ ok: true });
    const first = await address();
    sent.length = 0;

    proxy.rebind();
    expect((await post(locationPath)).code).toBe("2.04");
    const second = await address();
    expect(second).not.toBe(first);
    expect(await ask("read", "/3/0/0")).toMatchObject({ ok: true });

    await gateway.kill();
    proxy.rebind();
    await gateway.start();
    expect((await post(locationPath)).code).toBe("2.04");
    expect(await address()).not.toBe(second);
    asked.length = 0;
    expect(await ask("read", "/3/0/0")).toMatchObject({ ok: true });
    expect(asked).toContain("/3/0/0");

    expect(sent).toContain(TLS12_CID);
    expect(sent).not.toContain(HANDSHAKE);
  }, 60_000);
});
