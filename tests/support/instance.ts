import { createPrivateKey, X509Certificate } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createApi } from "@/server/api";
import { type RunningDevices, type runDevices, runDevices as start } from "@/server/device";
import { createLogger } from "@/server/log";
import { developerBundle, parseCertificate } from "@/server/pki";
import { withEcho } from "@/server/portal/echo";
import { portalCredentials } from "@/server/portal/tls";
import { createApiKey } from "@/server/services/api-keys/create";
import type { Context } from "@/server/services/context";
import { actAs } from "@/server/services/create-context";
import { EnrollmentWorker } from "@/server/services/enrollments/worker";
import { getServerCa } from "@/server/services/instance/authorities";
import { startTestGateway, type TestGateway } from "./test-gateway";

/** A gateway and the REST API of one data folder, in this process: all that devices and applications see. */
export interface Instance {
  gateway: TestGateway;
  /** Acts as the administrator of the account. */
  ctx: Context;
  /** Without a slash at the end. */
  url: string;
  secureUrl: string;
  /** PEM of the CA of `secureUrl`. */
  caFile: string;
  /** A key of Administrators. */
  key: string;
  /** Another key of any kind. */
  addKey(name: string): Promise<{ id: string; key: string }>;
  /** Runs reference devices with a developer certificate, in PEM as it comes from the API. */
  run(
    identity: { certificate: string; privateKey: string },
    options?: Partial<Parameters<typeof runDevices>[0]>,
  ): Promise<RunningDevices>;
  close(): Promise<void>;
}

/** Callbacks may go to this machine. */
export async function startInstance(): Promise<Instance> {
  const gateway = await startTestGateway({ GANGWAY_CALLBACK_ALLOW: "127.0.0.1" });
  const { config, accountId } = gateway;
  const bus = withEcho(gateway.bus);
  const context: Context = { ...gateway.context, bus };
  const { id, email } = await gateway.db.user.findFirstOrThrow({ where: { accountId } });
  const ctx = actAs(context, { kind: "user", id, accountId, role: "administrator", email });
  const { key } = await createApiKey(ctx, { name: "instance", role: "administrator" });
  const log = createLogger("tests", process.env.API_LOG === "1" ? "error" : "silent");
  const lists = new EnrollmentWorker(context, (error) => log.error({ err: error }, "a list failed"));
  const api = createApi({ context, config, log, version: "0.0.0", events: bus });
  const http = createServer((req, res) => void api.answer(req, res));
  const https = createTlsServer(await portalCredentials(context, config), (req, res) => {
    void api.answer(req, res);
  });
  const folder = mkdtempSync(join(tmpdir(), "gangway-instance-"));
  const ca = await getServerCa(context);
  const caFile = join(folder, "ca.pem");
  writeFileSync(caFile, ca.pem);
  while (!gateway.bus.connected) await new Promise((done) => setTimeout(done, 5));
  return {
    gateway,
    ctx,
    url: `http://127.0.0.1:${await bind(http)}`,
    secureUrl: `https://127.0.0.1:${await bind(https)}`,
    caFile,
    key,
    addKey: (name) => createApiKey(ctx, { name }),
    run(identity, options = {}) {
      const certificate = new X509Certificate(identity.certificate).raw;
      const uri = (scheme: "coaps" | "coaps+tcp") =>
        `${scheme}://127.0.0.1:${gateway.port("bootstrap", scheme)}`;
      return start({
        bundle: developerBundle({
          certificate,
          privateKey: createPrivateKey(identity.privateKey).export({ type: "pkcs8", format: "der" }),
          endpointName: parseCertificate(certificate).subject.cn ?? "",
          accountId,
          bootstrapUri: { udp: uri("coaps"), tcp: uri("coaps+tcp") },
          serverCa: ca.der,
        }),
        stateDir: mkdtempSync(join(folder, "devices-")),
        log: { info: () => {}, warn: () => {} },
        ...options,
      });
    },
    async close() {
      for (const server of [http, https]) {
        server.closeAllConnections();
        await new Promise((done) => server.close(done));
      }
      await api.close();
      await lists.close();
      await gateway.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

const bind = (server: Server): Promise<number> =>
  new Promise((done) => {
    server.listen(0, "127.0.0.1", () => done((server.address() as AddressInfo).port));
  });
