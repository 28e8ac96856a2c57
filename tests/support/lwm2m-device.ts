import { DeviceCertificateIssuer } from "@/server/pki";
import { createDeveloperCertificate } from "@/server/services/certificates/create-developer";
import type { Context } from "@/server/services/context";
import { actAs } from "@/server/services/create-context";
import { newId } from "@/server/services/ids";
import { loadAuthority } from "@/server/services/instance/authorities";
import { ensureInstance } from "@/server/services/instance/ensure";
import type { ServerCredentials } from "@/server/transport";

/** A device that has bootstrapped before: its ID, and the LwM2M certificate it holds. */
export interface BootstrappedDevice {
  id: string;
  endpointName: string;
  credentials: ServerCredentials;
  /** DER of the server CA. */
  serverCa: Uint8Array;
}

/** Puts `count` bootstrapped devices into the directory. */
export async function createBootstrappedDevices(
  context: Context,
  accountId: string,
  count: number,
): Promise<BootstrappedDevice[]> {
  await ensureInstance(context, { publicHost: "127.0.0.1" });
  const issuer = new DeviceCertificateIssuer(await loadAuthority(context, "device-ca"));
  const { certificate: serverCa } = await loadAuthority(context, "server-ca");
  const devices = Array.from({ length: count }, (_, n) => {
    const id = newId();
    const endpointName = `device-${n}`;
    const { certificate, privateKey } = issuer.issue({
      deviceId: id,
      accountId,
      endpointName,
      notAfter: new Date(Date.now() + 3_600_000),
    });
    if (!privateKey) throw new Error("no key");
    return { id, endpointName, credentials: { chain: [certificate], privateKey }, serverCa };
  });
  const { id: caId } = await createDeveloperCertificate(actAs(context, { kind: "operator", accountId }), {
    name: "the devices",
  });
  await context.db.device.createMany({
    data: devices.map(({ id, endpointName }) => ({
      id,
      accountId,
      endpointName,
      identity: `ep:${endpointName}`,
      state: "bootstrapped",
      caId,
    })),
  });
  return devices;
}
