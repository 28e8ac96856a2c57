import type { Clock } from "@/server/clock";
import type { PrismaClient } from "@/server/db";
import {
  decideEnrollment,
  decideUnsecured,
  type EnrollmentDecision,
  type EnrollmentRequest,
} from "@/server/services/enrollment/decide";
import type { EnrollmentRow } from "@/server/services/enrollment/statements";
import { isId, newId } from "@/server/services/ids";
import type { Peer } from "@/server/transport";
import type { DeviceFacts, Directory } from "./directory";
import { identityOf } from "./identity";

/** A device that may go on, with the row that makes or refreshes its directory entry. */
export type Admission =
  | {
      ok: true;
      device: DeviceFacts;
      created: boolean;
      /** It had another endpoint name before. */
      renamed: boolean;
      endpointName: string;
      row: EnrollmentRow;
    }
  | { ok: false; message: string; accountId: string | null };

/** What a device is told that somebody suspended. */
export const SUSPENDED = "The device is suspended: it may come back when somebody resumes it.";

/** Finds or makes the directory entry of whoever asks for bootstrap or registers without one. */
export class Admissions {
  #defaultAccount: string | null = null;
  readonly #accounts = new Set<string>();

  constructor(
    private readonly directory: Directory,
    private readonly db: PrismaClient,
    private readonly clock: Clock,
  ) {}

  async admit(peer: Peer, asked: Omit<EnrollmentRequest, "address">): Promise<Admission> {
    const identity = identityOf(peer);
    const request = { ...asked, address: peer.remote.address };
    if (identity?.kind === "lwm2m")
      return {
        ok: false,
        accountId: identity.accountId,
        message: "It came with its LwM2M certificate: bootstrap needs the certificate it was made with.",
      };

    let decision: EnrollmentDecision;
    let accountId: string;
    if (identity) {
      accountId = identity.accountId;
      decision = decideEnrollment(
        { ...identity, developer: identity.kind === "developer" },
        request,
        this.directory,
      );
    } else {
      const account = await this.#account(request.accountId);
      if (!account)
        return {
          ok: false,
          accountId: null,
          message: request.accountId
            ? "It names an account (aid) that does not exist here."
            : "There is no account on this instance yet.",
        };
      accountId = account;
      decision = decideUnsecured(accountId, request, this.directory);
    }
    if (decision.kind === "refused") return { ok: false, accountId, message: decision.message };

    const { endpointName } = decision;
    const at = this.clock.now();
    const facts = {
      endpointName,
      caId: identity?.caId ?? null,
      executionMode: identity ? (identity.kind === "developer" ? 1 : 5) : 0,
      bootstrapFingerprint: identity?.fingerprint ?? null,
      bootstrapExpirationDate: identity?.notAfter ?? null,
      address: formatAddress(peer),
      transport: peer.transport,
      at,
      state: "cloud_enrolling" as const,
      registeredAt: null,
      deviceKey: null,
      connectorExpirationDate: null,
    };
    if (decision.kind === "known") {
      const device = decision.device as DeviceFacts;
      if (device.suspended) return { ok: false, accountId, message: SUSPENDED };
      const renamed = device.endpointName !== endpointName;
      device.endpointName = endpointName;
      if (identity && device.caId === null && !device.secured) this.directory.adopt(device, identity.caId);
      const row: EnrollmentRow = { ...facts, id: device.id, accountId, identity: device.identity };
      return { ok: true, device, created: false, renamed, endpointName, row };
    }
    const id = newId(at);
    const device: DeviceFacts = {
      id,
      accountId,
      identity: decision.identity(id),
      endpointName,
      caId: facts.caId,
      secured: identity !== null,
      rebootstrapPending: false,
      suspended: false,
      endpointType: "",
    };
    // Taken at once, so that a second request of the same name finds it; the caller gives it back if the rows fail.
    this.directory.addDevice(device);
    const row: EnrollmentRow = { ...facts, id, accountId, identity: device.identity };
    return { ok: true, device, created: true, renamed: false, endpointName, row };
  }

  async #account(named: string | null): Promise<string | null> {
    if (named !== null) {
      if (!isId(named)) return null;
      if (!this.#accounts.has(named) && (await this.db.account.count({ where: { id: named } })))
        this.#accounts.add(named);
      return this.#accounts.has(named) ? named : null;
    }
    this.#defaultAccount ??=
      (await this.db.account.findFirst({ orderBy: { createdAt: "asc" }, select: { id: true } }))?.id ?? null;
    return this.#defaultAccount;
  }
}

/** "192.0.2.1:5683" or "[2001:db8::1]:5683". */
export function formatAddress(peer: Pick<Peer, "remote">): string {
  const { address, port } = peer.remote;
  return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
}
