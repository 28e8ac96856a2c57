import { systemClock } from "@/server/clock";
import { connectDtls } from "@/server/transport";
import { startGatewayProcess } from "../support/gateway-process";
import { type BootstrappedDevice, createBootstrappedDevices } from "../support/lwm2m-device";
import { concurrently, measure, rateRows } from "./_measure";

export const name = "Full DTLS handshakes with a client certificate";

const DEVICES = 4000;
const WARM_UP = 500;
const AT_A_TIME = 64;

export async function run() {
  let devices: BootstrappedDevice[] = [];
  const gateway = await startGatewayProcess(async (context, accountId) => {
    devices = await createBootstrappedDevices(context, accountId, WARM_UP + DEVICES);
  });
  gateway.bus.watch([]);
  const shake = async ({ credentials, serverCa }: BootstrappedDevice) => {
    const peer = await connectDtls({
      host: "127.0.0.1",
      port: gateway.config.lwm2mPort,
      credentials,
      ca: [serverCa],
      clock: systemClock,
    });
    peer.close();
  };
  try {
    await concurrently(devices.slice(0, WARM_UP), AT_A_TIME, shake);
    const rate = await measure(gateway, DEVICES, () =>
      concurrently(devices.slice(WARM_UP), AT_A_TIME, shake),
    );
    return rateRows(
      "full DTLS handshakes with a client certificate",
      rate,
      1500,
      "OpenSSL's handshake calls (three fifths), the check of the chain (a sixth), datagrams",
    );
  } finally {
    await gateway.close();
  }
}
