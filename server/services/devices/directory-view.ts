import type { Transaction } from "@/server/db";
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
  createdAt: Date;
  updatedAt: Date;
}

export const directorySelect = {
  id: true,
  accountId: true,
  endpointName: true,
  endpointType: true,
  name: true,
  description: true,
  customAttributes: true,
  state: true,
  executionMode: true,
  caId: true,
  deviceKey: true,
  bootstrapExpirationDate: true,
  connectorExpirationDate: true,
  bootstrappedAt: true,
  autoUpdate: true,
  deployment: true,
  deviceClass: true,
  hostGateway: true,
  issuerFingerprint: true,
  manifest: true,
  mechanism: true,
  mechanismUrl: true,
  serialNumber: true,
  vendorId: true,
  createdAt: true,
  updatedAt: true,
} as const satisfies NonNullable<Parameters<Transaction["device"]["findFirst"]>[0]>["select"];

type Row = Omit<DirectoryDevice, "state" | "customAttributes"> & { state: string; customAttributes: string };

export function directoryDevice({ state, customAttributes, ...row }: Row): DirectoryDevice {
  return { ...row, state: state as DeviceState, customAttributes: readAttributes(customAttributes) };
}

/** A fingerprint as it is kept: hex in lower case, without colons. Anything else stays what it is. */
export function plainFingerprint(text: string): string {
  const hex = text.replaceAll(":", "").toLowerCase();
  return /^[0-9a-f]{64}$/.test(hex) ? hex : text;
}
