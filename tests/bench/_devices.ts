import { createRootAuthority, DeviceCertificateIssuer, parseCertificate } from "@/server/pki";
import type { Context } from "@/server/services/context";
import { newId } from "@/server/services/ids";
import { loadAuthority } from "@/server/services/instance/authorities";
import { ensureInstance } from "@/server/services/instance/ensure";
import type { ServerCredentials } from "@/server/transport";

/** A device as it leaves the factory. */
export interface FactoryDevice {
  endpointName: string;
  credentials: ServerCredentials;
}

const DAY_MS = 86_400_000;

/** Makes a factory's CA that the account trusts, and devices with certificates of it. */
export async function createFactoryDevices(context: Context, accountId: string, names: readonly string[]) {
  await ensureInstance(context, { publicHost: "127.0.0.1" });
  const { certificate: serverCa } = await loadAuthority(context, "server-ca");
  const factory = createRootAuthority("Bench factory");
  const facts = parseCertificate(factory.certificate);
  await context.db.trustedCertificate.create({
    data: {
      id: newId(),
      accountId,
      name: "factory",
      certificate: Buffer.from(factory.certificate),
      fingerprint: facts.fingerprint,
      subject: facts.subjectText,
      issuer: facts.issuer,
      notBefore: facts.notBefore,
      notAfter: facts.notAfter,
      createdBy: "bench",
    },
  });
  const issuer = new DeviceCertificateIssuer(factory);
  const notAfter = new Date(Date.now() + DAY_MS);
  const devices = names.map((endpointName): FactoryDevice => {
    const issued = issuer.issue({ deviceId: newId(), accountId, endpointName, notAfter });
    if (!issued.privateKey) throw new Error("The issuer made no key.");
    return { endpointName, credentials: { chain: [issued.certificate], privateKey: issued.privateKey } };
  });
  return { devices, serverCa };
}
