import type { Clock } from "@/server/clock";
import { Prisma, type PrismaClient, rowsOf } from "@/server/db";
import {
  decideEnrollment,
  decideUnsecured,
  type EnrollmentDecision,
  type EnrollmentRequest,
} from "@/server/services/enrollment/decide";
import type { ClaimRow, EnrollmentRow } from "@/server/services/enrollment/statements";
import { enrollmentIdentity } from "@/server/services/enrollments/identity";
import { isId, newId } from "@/server/services/ids";
import type { Peer } from "@/server/transport";
import type { DeviceFacts, Directory } from "./directory";
import { type GatewayIdentity, identityOf } from "./identity";
import type { TrustBook } from "./trust";
import type { Turn, Turns } from "./turns";

/** A device that may go on, with the row that makes or refreshes its directory entry. */
export interface Admission {
  device: DeviceFacts;
  created: boolean;
  /** It takes up an entry whose bootstrap broke off. */
  leftover: boolean;
  /** It had another endpoint name before. */
  renamed: boolean;
  endpointName: string;
  row: EnrollmentRow;
  /** For {@link claimEntries}; null: it has no certificate of its own, and nobody can have claimed it. */
  claim: ClaimRow | null;
  /** It is on its account's list, and had not come before. */
  claimed: boolean;
  /** The row is on disk: what it changes is known from now on. */
  written(): void;
}

/** Why a device may not go on, and who is to know. */
export interface Refusal {
  message: string;
  accountId: string | null;
  caId: string | null;
}

/** Runs what a device asks for in its turn. A new device is forgotten again unless {@link Admission.written} was called. */
export type Proceed<T> = (turn: Turn, admission: Admission) => Promise<T>;

/** What a device is told that somebody suspended. */
export const SUSPENDED = "The device is suspended: it may come back when somebody resumes it.";

const AGAIN = Symbol("decide again");
const SUSPENDED_MEANWHILE = Symbol("suspended");

interface Claimed {
  accountId: string;
  deviceId: string | null;
}

/** Finds or makes the directory entry of whoever asks for bootstrap or registers without one. */
export class Admissions {
  #defaultAccount: string | null = null;
  readonly #accounts = new Set<string>();

  constructor(
    private readonly directory: Directory,
    private readonly db: PrismaClient,
    private readonly clock: Clock,
    private readonly trust: Pick<TrustBook, "holders" | "soleHolder">,
    private readonly turns: Turns,
  ) {}

  /** Decides who it is, and goes on in the turn of that device; whom nobody knows is turned away with the reason. */
  async admit<T>(
    peer: Peer,
    asked: Omit<EnrollmentRequest, "address">,
    proceed: Proceed<T>,
  ): Promise<{ refusal: Refusal } | { refusal: null; value: T }> {
    for (;;) {
      const admission = await this.#decide(peer, asked);
      if ("message" in admission) return { refusal: admission };
      const { device, created, leftover } = admission;
      const value = await this.turns.run(device.id, async (turn) => {
        // While it waited for its turn the entry may have been deleted, or its row may have failed.
        if (this.directory.byId(device.id) !== device) return AGAIN;
        if (device.suspended) return SUSPENDED_MEANWHILE;
        let stored = false;
        const written = () => {
          stored = true;
          admission.written();
        };
        try {
          return { value: await proceed(turn, { ...admission, written }) };
        } finally {
          if (!stored && created) this.directory.removeDevice(device.id);
          else if (!stored && leftover) this.directory.leaveUnfinished(device, peer.remote.address);
        }
      });
      if (value === AGAIN) continue;
      if (value === SUSPENDED_MEANWHILE)
        return { refusal: { message: SUSPENDED, accountId: device.accountId, caId: device.caId } };
      return { refusal: null, ...value };
    }
  }

  /** Nothing is awaited between the decision and its return: the turn of a new device is taken with it. */
  async #decide(peer: Peer, asked: Omit<EnrollmentRequest, "address">): Promise<Admission | Refusal> {
    const identity = identityOf(peer);
    const request = { ...asked, address: peer.remote.address };
    if (identity?.kind === "lwm2m")
      return {
        accountId: identity.accountId,
        caId: null,
        message: "It came with its LwM2M certificate: bootstrap needs the certificate it was made with.",
      };

    let decision: EnrollmentDecision;
    let accountId: string;
    let caId: string | null = null;
    const enrollment = identity?.kind === "factory" ? await this.#enrollment(identity.fingerprint) : null;
    if (identity) {
      const owner = identity.accountId
        ? { accountId: identity.accountId, caId: identity.caId }
        : this.#claimant(identity, enrollment, request.accountId);
      if ("message" in owner) return owner;
      ({ accountId, caId } = owner);
      decision = decideEnrollment(
        { ...identity, ...owner, developer: identity.kind === "developer" },
        request,
        this.directory,
      );
    } else {
      const account = await this.#account(request.accountId);
      if (!account)
        return {
          accountId: null,
          caId: null,
          message: request.accountId
            ? "It names an account (aid) that does not exist here."
            : "There is no account on this instance yet.",
        };
      accountId = account;
      decision = decideUnsecured(accountId, request, this.directory);
    }
    if (decision.kind === "refused") return { accountId, caId, message: decision.message };

    const { endpointName } = decision;
    const at = this.clock.now();
    const facts = {
      endpointName,
      caId,
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
    const claimOf = (id: string) => ({
      claim: identity?.kind === "factory" ? { id, accountId, fingerprint: identity.fingerprint, at } : null,
      claimed: enrollment?.accountId === accountId && enrollment.deviceId !== id,
    });
    if (decision.kind === "known") {
      const device = decision.device as DeviceFacts;
      if (device.suspended) return { accountId, caId, message: SUSPENDED };
      const renamed = device.endpointName !== endpointName;
      const row: EnrollmentRow = { ...facts, id: device.id, accountId, identity: device.identity };
      const written = () => {
        device.endpointName = endpointName;
        if (caId && device.caId === null && !device.secured) this.directory.adopt(device, caId);
      };
      // Taken at once, so that no other device gets it too.
      const leftover = this.directory.takeUnfinished(device, peer.remote.address);
      return { device, created: false, leftover, renamed, endpointName, row, ...claimOf(device.id), written };
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
    // Taken at once, so that a second request of the same name finds it and waits for its turn behind this one.
    this.directory.addDevice(device);
    const row: EnrollmentRow = { ...facts, id, accountId, identity: device.identity };
    const written = () => {};
    return {
      device,
      created: true,
      leftover: false,
      renamed: false,
      endpointName,
      row,
      ...claimOf(id),
      written,
    };
  }

  /** The account that has this certificate on its list, with the device that came by it before. */
  async #enrollment(fingerprint: string): Promise<Claimed | null> {
    const [found] = await rowsOf(this.db)(
      { accountId: "text", deviceId: "text?" },
      Prisma.sql`SELECT "accountId", "deviceId" FROM "Enrollment" WHERE "fingerprint" = ${fingerprint}
        AND ("claimedAt" IS NOT NULL OR "expiresAt" > ${this.clock.now()})`,
    );
    return found ?? null;
  }

  /**
   * Whose a device is where its CA alone does not say: of several accounts that have proven to hold it the one that the
   * device names or that has claimed it, else of whoever has claimed it. Or why it is turned away, and who is told.
   */
  #claimant(
    { caId, fingerprint }: Pick<GatewayIdentity, "caId" | "fingerprint">,
    claimed: Claimed | null,
    named: string | null,
  ):
    | { accountId: string; caId: string }
    | { accountId: string | null; caId: string | null; message: string } {
    const holders = this.trust.holders(caId);
    const proven = holders.some((holder) => holder.proven);
    const accountId = (proven ? named : null) ?? claimed?.accountId ?? null;
    const own = holders.find((holder) => holder.accountId === accountId);
    if (own?.active) return { accountId: own.accountId, caId: own.caId };
    const whose = proven && named !== null ? "that it names (aid)" : "that has claimed it";
    const message =
      accountId === null
        ? proven
          ? "Several accounts hold the CA of its certificate: it has to name its own (aid), or be claimed."
          : `No account has claimed it: its enrollment identity is ${enrollmentIdentity(fingerprint)}.`
        : own
          ? `The account ${whose} has switched off the CA of its certificate.`
          : `The account ${whose} does not trust the CA of its certificate.`;
    if (own) return { accountId: own.accountId, caId: own.caId, message };
    // What somebody else names or claims is not told to the one that holds the CA, and nothing to one of several.
    if (accountId !== null && !proven) return { accountId, caId: null, message };
    const sole = this.trust.soleHolder(caId);
    return { accountId: sole?.accountId ?? null, caId: sole?.caId ?? null, message };
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
