import type { Clock } from "@/server/clock";
import { type Anchor, authorityOf, fingerprint, parseCertificate, verifyChain } from "@/server/pki";
import { loadTrust, type TrustAnchor } from "@/server/services/certificates/trust";
import type { Context } from "@/server/services/context";
import { isId } from "@/server/services/ids";
import type { Verdict, Verifier } from "@/server/transport";
import { packIdentity } from "./identity";

/** A certificate that came in a failed handshake, in words; nothing of it is proven. */
export interface CertificateAbout {
  fingerprint: string;
  subject: string;
  issuer: string;
  commonName: string | null;
  /** The account that knows it: whose own certificate it is, or whose trusted certificate it rests on. */
  accountId: string | null;
  /** That certificate, though it was refused now. */
  caId: string | null;
}

/** What the gateway trusts: its own device CA and the trusted certificates of all accounts, in memory. */
export class TrustBook {
  readonly #issued: readonly Anchor[];
  #all: readonly TrustAnchor[] = [];
  #bootstrap: readonly TrustAnchor[] = [];
  #lwm2m: readonly TrustAnchor[] = [];
  #active: ReadonlySet<string> = new Set();
  /** All of them as if they were active, to tell what a refused chain rests on. */
  #known: readonly Anchor[] = [];
  /** All that are of one CA, by the id of each: certificates of one CA need not be the same. */
  #sharing: ReadonlyMap<string, readonly TrustAnchor[]> = new Map();

  /** @param deviceCa DER of the CA that issues LwM2M certificates here. */
  constructor(
    private readonly context: Context,
    deviceCa: Uint8Array,
    private readonly clock: Clock,
  ) {
    this.#issued = [{ certificate: deviceCa, fingerprint: fingerprint(deviceCa), name: "Gangway Device CA" }];
  }

  get size(): number {
    return this.#all.length;
  }

  has(caId: string): boolean {
    return this.#all.some(({ id }) => id === caId);
  }

  isActive(caId: string): boolean {
    return this.#active.has(caId);
  }

  /**
   * Who trusts the CA of this certificate: the accounts that have proven to hold it, else all that leave it to their lists
   * whose a device is; the first is the one that was first.
   */
  holders(caId: string): { accountId: string; caId: string; active: boolean; proven: boolean }[] {
    const all = this.#sharing.get(caId) ?? [];
    const proven = all.filter(({ enrollmentMode }) => !enrollmentMode);
    return (proven.length > 0 ? proven : all).map(({ id, accountId, status, enrollmentMode }) => ({
      accountId,
      caId: id,
      active: status === "ACTIVE",
      proven: !enrollmentMode,
    }));
  }

  /** The account that alone trusts this CA; null where several do. */
  soleHolder(caId: string): { accountId: string; caId: string; proven: boolean } | null {
    const [first, ...others] = this.holders(caId);
    return first && others.length === 0 ? first : null;
  }

  /** Reads the trusted certificates again; returns the ids of those that are trusted no longer. */
  async load(): Promise<string[]> {
    const before = this.#active;
    this.#all = (await loadTrust(this.context)).map((anchor) => ({
      ...anchor,
      owner: anchor.enrollmentMode ? null : anchor.accountId,
    }));
    this.#sharing = byCa(this.#all);
    this.#known = this.#all.map(({ status: _, ...anchor }) => anchor);
    this.#bootstrap = this.#onePerCa(this.#all.filter(({ service }) => service === "bootstrap"));
    this.#lwm2m = this.#all.filter(({ service }) => service === "lwm2m");
    this.#active = new Set(this.#all.filter(({ status }) => status === "ACTIVE").map(({ id }) => id));
    return [...before].filter((id) => !this.#active.has(id));
  }

  /** Decides on client certificates during handshakes with one of the two services. */
  verifier(service: "bootstrap" | "lwm2m"): Verifier {
    return service === "bootstrap"
      ? (chain) => this.#atTheRightDoor(chain, this.#trusted(chain, this.#bootstrap), service)
      : (chain) => {
          const issued = this.#issuedHere(chain);
          return this.#atTheRightDoor(chain, issued ?? this.#trusted(chain, this.#lwm2m), service);
        };
  }

  /** A stranger here may be well known at the other service, which is then what is to be said. */
  #atTheRightDoor(chain: readonly Uint8Array[], verdict: Verdict, service: "bootstrap" | "lwm2m"): Verdict {
    if (verdict.ok || verdict.fault !== "unknown_ca") return verdict;
    const others = service === "bootstrap" ? [...this.#issued, ...this.#lwm2m] : this.#bootstrap;
    const elsewhere = verifyChain(chain, others, new Date(this.clock.now()));
    if (!elsewhere.ok) return verdict;
    const { name } = elsewhere.anchor;
    const message =
      service === "lwm2m"
        ? `The certificate rests on “${name}” and is for the bootstrap service: the device has to bootstrap first.`
        : `The certificate rests on “${name}” and is for the LwM2M service: bootstrap needs the one the device was made with.`;
    return { ok: false, fault: "unknown_ca", message };
  }

  /** Says what is known of a chain that was refused; null when there was none. */
  describe(chain: readonly Uint8Array[]): CertificateAbout | null {
    const [leaf] = chain;
    if (!leaf) return null;
    try {
      const facts = parseCertificate(leaf);
      const own = this.#all.find((anchor) => anchor.fingerprint === facts.fingerprint);
      const holder = this.soleHolder(own?.id ?? this.#root(chain) ?? "");
      return {
        fingerprint: facts.fingerprint,
        subject: facts.subjectText,
        issuer: facts.issuer,
        commonName: facts.subject.cn ?? null,
        accountId: holder?.accountId ?? null,
        caId: holder?.caId ?? null,
      };
    } catch {
      return {
        fingerprint: fingerprint(leaf),
        subject: "(not readable)",
        issuer: "(not readable)",
        commonName: null,
        accountId: null,
        caId: null,
      };
    }
  }

  /** The id of the trusted certificate that a chain rests on, whether that is switched on or off. */
  #root(chain: readonly Uint8Array[]): string | null {
    const verdict = verifyChain(chain, this.#known, new Date(this.clock.now()));
    return verdict.ok ? ((verdict.anchor as TrustAnchor).id ?? null) : null;
  }

  /** Null: not one of ours, so that the other anchors have a say. */
  #issuedHere(chain: readonly Uint8Array[]): Verdict | null {
    const verdict = verifyChain(chain, this.#issued, new Date(this.clock.now()));
    if (!verdict.ok) return verdict.fault === "unknown_ca" && this.#lwm2m.length > 0 ? null : verdict;
    const { subject, notAfter, fingerprint } = verdict.leaf;
    // L, OU and CN are what the issuer puts there; nothing else was ever signed by it.
    if (!subject.cn || !isId(subject.l) || !isId(subject.ou))
      return { ok: false, fault: "bad_certificate", message: "The LwM2M certificate names no device." };
    return {
      ok: true,
      identity: packIdentity({
        kind: "lwm2m",
        caId: "",
        accountId: subject.ou,
        deviceId: subject.l,
        commonName: subject.cn,
        fingerprint,
        notAfter: notAfter.getTime(),
      }),
    };
  }

  #trusted(chain: readonly Uint8Array[], anchors: readonly TrustAnchor[]): Verdict {
    const verdict = verifyChain(chain, anchors, new Date(this.clock.now()));
    if (!verdict.ok) return verdict;
    const { anchor, leaf } = verdict;
    const commonName = leaf.subject.cn;
    if (!commonName)
      return {
        ok: false,
        fault: "bad_certificate",
        message: `The certificate “${leaf.subjectText}” has no common name, so the device has no endpoint name.`,
      };
    const { id: caId, accountId } = anchor;
    const facts = { caId, commonName, fingerprint: leaf.fingerprint, notAfter: leaf.notAfter.getTime() };
    return {
      ok: true,
      identity: packIdentity(
        anchor.service === "lwm2m"
          ? { kind: "direct", accountId, ...facts }
          : anchor.developer
            ? { kind: "developer", accountId, ...facts }
            : { kind: "factory", accountId: this.#ownerOf(anchor), ...facts },
      ),
    };
  }

  /** The account that all devices of a CA belong to; null where each has to be told apart. */
  #ownerOf({ id }: TrustAnchor): string | null {
    const holder = this.soleHolder(id);
    return holder?.proven ? holder.accountId : null;
  }

  /** Of several accounts that trust one CA, one stands for all in the place of the first: an active one, if there is. */
  #onePerCa(anchors: readonly TrustAnchor[]): TrustAnchor[] {
    const chosen = new Map<unknown, TrustAnchor>();
    for (const anchor of anchors) {
      const place = anchor.developer ? anchor.id : this.#sharing.get(anchor.id);
      if (chosen.get(place)?.status !== "ACTIVE") chosen.set(place, anchor);
    }
    return [...chosen.values()];
  }
}

function byCa(anchors: readonly TrustAnchor[]): Map<string, readonly TrustAnchor[]> {
  const authorities = new Map<string, TrustAnchor[]>();
  const sharing = new Map<string, readonly TrustAnchor[]>();
  for (const anchor of anchors) {
    const authority = authorityOf(anchor.certificate);
    const all = authorities.get(authority) ?? [];
    authorities.set(authority, all);
    all.push(anchor);
    sharing.set(anchor.id, all);
  }
  return sharing;
}
