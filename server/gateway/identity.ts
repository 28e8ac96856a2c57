import type { Peer, PeerIdentity } from "@/server/transport";

/** Who a peer is by its certificate; what the verifiers put into {@link PeerIdentity}. */
export type GatewayIdentity = {
  /** Id of the trusted certificate; empty for certificates that this instance issued. */
  caId: string;
  commonName: string;
  /** SHA-256 of the certificate, hex. */
  fingerprint: string;
  /** Milliseconds since 1970. */
  notAfter: number;
} & (
  | { kind: "developer" | "direct"; accountId: string }
  /** Null: of whichever account has claimed it. */
  | { kind: "factory"; accountId: string | null }
  /** Holds a LwM2M certificate issued here: its subject names the device. */
  | { kind: "lwm2m"; accountId: string; deviceId: string }
);

export function packIdentity(identity: GatewayIdentity): PeerIdentity {
  return { ...identity, accountId: identity.accountId ?? "", notAfter: String(identity.notAfter) };
}

/** Null for a peer without transport security. */
export function identityOf(peer: Peer): GatewayIdentity | null {
  return peer.identity
    ? ({
        ...peer.identity,
        accountId: peer.identity.accountId || null,
        notAfter: Number(peer.identity.notAfter),
      } as unknown as GatewayIdentity)
    : null;
}
