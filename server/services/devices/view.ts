import type { Transaction } from "@/server/db";
import type { Abilities } from "./abilities";

export const deviceStates = [
  "unenrolled",
  "cloud_enrolling",
  "bootstrapped",
  "registered",
  "deregistered",
] as const;
export type DeviceState = (typeof deviceStates)[number];

/** A directory entry as lists show it. */
export interface DeviceRow {
  id: string;
  endpointName: string;
  name: string;
  description: string;
  endpointType: string;
  state: DeviceState;
  /** Registered, and its registration has not run out. */
  online: boolean;
  /** 0 unknown, 1 developer, 5 production. */
  executionMode: number;
  lastSeenAt: Date | null;
  address: string | null;
  /** udp, tcp, dtls or tls. */
  transport: string | null;
  /** When its registration runs out unless updated. */
  expiresAt: Date | null;
  bootstrappedAt: Date | null;
  registeredAt: Date | null;
  createdAt: Date;
  /** SHA-256 of the certificate it bootstraps with, hex. */
  bootstrapFingerprint: string | null;
  bootstrapExpirationDate: Date | null;
  /** SHA-256 of the LwM2M certificate it holds, hex. */
  deviceKey: string | null;
  connectorExpirationDate: Date | null;
  /** Its next registration is refused so that it bootstraps again. */
  rebootstrapPending: boolean;
  /** The trusted certificate it came in by; null when that is gone. */
  ca: { id: string; name: string } | null;
  /** Why it is turned away, and since when; null: it is not. */
  suspension: { category: string; description: string; since: Date } | null;
}

/** A directory entry with everything known of it. */
export interface DeviceDetail extends DeviceRow {
  accountId: string;
  customAttributes: Record<string, string>;
  updatedAt: Date;
  groups: { id: string; name: string }[];
  registration: {
    id: string;
    /** Seconds. */
    lifetime: number;
    lwm2mVersion: string;
    binding: string;
    queueMode: boolean;
    rootPath: string;
    address: string;
    transport: string;
    registeredAt: Date;
    updatedAt: Date;
    expiresAt: Date;
  } | null;
  /** Known by its endpoint name, so that it is the same device even when it has forgotten everything. */
  keepsIdAfterReset: boolean;
  /** What can be asked of it as a whole, and why not. */
  abilities: Abilities;
}

export const deviceSelect = {
  id: true,
  endpointName: true,
  name: true,
  description: true,
  endpointType: true,
  state: true,
  executionMode: true,
  lastSeenAt: true,
  address: true,
  transport: true,
  bootstrappedAt: true,
  registeredAt: true,
  createdAt: true,
  bootstrapFingerprint: true,
  bootstrapExpirationDate: true,
  deviceKey: true,
  connectorExpirationDate: true,
  rebootstrapPending: true,
  ca: { select: { id: true, name: true } },
  suspendedAt: true,
  suspendedCategory: true,
  suspendedDescription: true,
  registration: { select: { expiresAt: true } },
} as const satisfies NonNullable<Parameters<Transaction["device"]["findFirst"]>[0]>["select"];

type Row = Omit<DeviceRow, "state" | "online" | "expiresAt" | "suspension"> & {
  state: string;
  suspendedAt: Date | null;
  suspendedCategory: string | null;
  suspendedDescription: string | null;
  registration: { expiresAt: Date } | null;
};

export function deviceRow(
  { registration, suspendedAt, suspendedCategory, suspendedDescription, ...row }: Row,
  now: number,
): DeviceRow {
  return {
    ...row,
    suspension: suspendedAt && {
      category: suspendedCategory ?? "other",
      description: suspendedDescription ?? "",
      since: suspendedAt,
    },
    state: row.state as DeviceState,
    online: row.state === "registered" && registration !== null && registration.expiresAt.getTime() > now,
    expiresAt: registration?.expiresAt ?? null,
  };
}

/** Custom attributes as kept: a JSON object of strings. */
export const readAttributes = (text: string): Record<string, string> =>
  JSON.parse(text) as Record<string, string>;
