import type { Peer, PeerIdentity } from "@/server/transport";

/** Who a peer is by its certificate; what the verifiers put into {@link PeerIdentity}. */
export type GatewayIdentity = {
  /** Id of the trusted certificate; empty for certificates that this instance issued. */
  caId: string;
  accountId: string;
  commonName: string;
  /** SHA-256 of the certificate, hex. */
  fingerprint: string;
  /** Milliseconds since 1970. */
  notAfter: number;
} & (
  | { kind: "developer" | "factory" | "direct" }
  /** Holds a LwM2M certificate issued here: its subject names the device. */
  | { kind: "lwm2m"; deviceId: string }
);

export function packIdentity(identity: GatewayIdentity): PeerIdentity {
  return { ...identity, notAfter: String(identity.notAfter) };
}

/** Null for a peer without transport security. */
export function identityOf(peer: Peer): GatewayIdentity | null {
  return peer.identity
    ? ({ ...peer.identity, notAfter: Number(peer.identity.notAfter) } as unknown as GatewayIdentity)
    : null;
}
