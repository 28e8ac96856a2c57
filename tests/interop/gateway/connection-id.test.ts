import { createSocket } from "node:dgram";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { systemClock } from "@/server/clock";
import { CoapEndpoint } from "@/server/coap";
import { connectDtls, type Peer } from "@/server/transport";
import { type GatewayProcess, startGatewayProcess } from "../../support/gateway-process";
import { type BootstrappedDevice, createBootstrappedDevices } from "../../support/lwm2m-device";
import { UdpProxy } from "../../support/udp-proxy";

const APPLICATION_DATA = 23;
const TLS12_CID = 25;
const LINKS = "</1/0>,</3/0>,</3303/0>";

describe.each([
  ["a connection id [RFC9146]", { cid: true }, TLS12_CID],
  ["a connection id of the draft", { cid: true, cidForm: "draft" }, TLS12_CID],
  ["no connection id", { cid: false }, APPLICATION_DATA],
] as const)("a device with %s behind a network address translator", (_what, offer, recordType) => {
  let gateway: GatewayProcess;
  let proxy: UdpProxy;
  let device: BootstrappedDevice;
  let peer: Peer;
  /** Content types of the first records of what the device sent. */
  const sent: number[] = [];
  let last: Buffer = Buffer.alloc(0);
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
      if (!toServer) return;
      sent.push(datagram.readUInt8(0));
      last = datagram;
    });
    peer = await connectDtls({
      host: "127.0.0.1",
      port: proxy.port,
      credentials: device.credentials,
      ca: [device.serverCa],
      clock: systemClock,
      ...offer,
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

  /** Sends what somebody without its keys can make of its last record. */
  async function forge(): Promise<void> {
    const stranger = createSocket("udp4");
    const forged = Buffer.from(last);
    for (let ahead = 1; ahead < 100; ahead++) {
      forged.writeUIntBE(last.readUIntBE(5, 6) + ahead, 5, 6);
      await new Promise((sent) => stranger.send(forged, gateway.config.lwm2mPort, "127.0.0.1", sent));
    }
    stranger.close();
  }

  it("goes on when its port changes, also over a kill of the gateway, and without a handshake", async () => {
    const { code, locationPath } = await post(["rd"], ["lwm2m=1.1", "lt=600"], LINKS);
    expect(code).toBe("2.01");
    expect(await ask("observe", "/3303/0/5700")).toMatchObject({ ok: true });
    const first = await address();
    sent.length = 0;
    await forge();
    expect(await ask("read", "/3/0/0")).toMatchObject({ ok: true });

    proxy.rebind();
    const askedAt = performance.now();
    expect((await post(locationPath)).code).toBe("2.04");
    // Before it would have been sent again [RFC7252 §4.8].
    expect(performance.now() - askedAt).toBeLessThan(2000);
    const second = await address();
    expect(second).not.toBe(first);
    await forge();
    expect(await ask("read", "/3/0/0")).toMatchObject({ ok: true });

    await gateway.kill();
    proxy.rebind();
    await gateway.start();
    expect((await post(locationPath)).code).toBe("2.04");
    expect(await address()).not.toBe(second);
    asked.length = 0;
    expect(await ask("read", "/3/0/0")).toMatchObject({ ok: true });
    expect(asked).toContain("/3/0/0");

    expect(new Set(sent)).toEqual(new Set([recordType]));
  }, 60_000);
});
