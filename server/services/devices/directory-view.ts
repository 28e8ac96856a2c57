import type { Columns } from "@/server/db";
import { type DeviceState, readAttributes } from "./view";

/** A directory entry with everything that the REST API tells of it. */
export interface DirectoryDevice {
  id: string;
  accountId: string;
  endpointName: string;
  endpointType: string;
  name: string;
  description: string;
  customAttributes: Record<string, string>;
  state: DeviceState;
  /** 0 unknown, 1 developer, 5 production. */
  executionMode: number;
  caId: string | null;
  deviceKey: string | null;
  bootstrapExpirationDate: Date | null;
  connectorExpirationDate: Date | null;
  bootstrappedAt: Date | null;
  autoUpdate: boolean;
  deployment: string;
  deviceClass: string;
  hostGateway: string;
  issuerFingerprint: string | null;
  manifest: string;
  mechanism: string | null;
  mechanismUrl: string;
  serialNumber: string;
  vendorId: string;
  /** Blocked by a person since then; null: not. */
  suspendedAt: Date | null;
  /** Of the last suspension, also when it is over. */
  suspendedCategory: string | null;
  suspendedDescription: string | null;
  suspensionUpdatedAt: Date | null;
  /** The trusted certificate that it came in by is switched off. */
  certificateOff: boolean;
  /** When it was found on the list of enrollment identities. */
  claimedAt: Date | null;
  /** Ids of the device groups it is in. */
  groups: string[];
  createdAt: Date;
  updatedAt: Date;
}

/** The same as columns of the table. */
export const directoryColumns = {
  id: "text",
  accountId: "text",
  endpointName: "text",
  endpointType: "text",
  name: "text",
  description: "text",
  customAttributes: "text",
  state: "text",
  executionMode: "integer",
  caId: "text?",
  deviceKey: "text?",
  bootstrapExpirationDate: "time?",
  connectorExpirationDate: "time?",
  bootstrappedAt: "time?",
  autoUpdate: "boolean",
  deployment: "text",
  deviceClass: "text",
  hostGateway: "text",
  issuerFingerprint: "text?",
  manifest: "text",
  mechanism: "text?",
  mechanismUrl: "text",
  serialNumber: "text",
  vendorId: "text",
  suspendedAt: "time?",
  suspendedCategory: "text?",
  suspendedDescription: "text?",
  suspensionUpdatedAt: "time?",
  claimedAt: "time?",
  createdAt: "time",
  updatedAt: "time",
} as const satisfies Columns;

/** `groups` as JSON. */
type Row = Omit<DirectoryDevice, "state" | "customAttributes" | "groups"> & {
  state: string;
  customAttributes: string;
  groups: string;
};

export function directoryDevice({ state, customAttributes, groups, ...row }: Row): DirectoryDevice {
  return {
    ...row,
    state: state as DeviceState,
    customAttributes: readAttributes(customAttributes),
    groups: JSON.parse(groups) as string[],
  };
}

/** A fingerprint as it is kept: hex in lower case, without colons. Anything else stays what it is. */
export function plainFingerprint(text: string): string {
  const hex = text.replaceAll(":", "").toLowerCase();
  return /^[0-9a-f]{64}$/.test(hex) ? hex : text;
}
