import type { DirectoryDevice } from "@/server/services/devices/directory-view";
import { dayOrNull, iso, isoOrNull } from "../serialize";
import type { z } from "../zod";
import type { deviceResponse } from "./schemas";

/** A directory entry. What nothing sets here is there, and empty. */
export function serializeDevice(row: DirectoryDevice): z.input<typeof deviceResponse> {
  const mode = row.executionMode;
  return {
    object: "device",
    id: row.id,
    account_id: row.accountId,
    endpoint_name: row.endpointName,
    endpoint_type: row.endpointType,
    name: row.name,
    description: row.description,
    state: row.state,
    device_execution_mode: mode === 1 || mode === 5 ? mode : 0,
    deployed_state: mode === 1 ? "development" : mode === 5 ? "production" : null,
    ca_id: row.caId ?? "",
    device_key: colons(row.deviceKey ?? ""),
    issuer_fingerprint: row.issuerFingerprint,
    bootstrap_expiration_date: dayOrNull(row.bootstrapExpirationDate),
    connector_expiration_date: dayOrNull(row.connectorExpirationDate),
    bootstrapped_timestamp: isoOrNull(row.bootstrappedAt),
    enrolment_list_timestamp: isoOrNull(row.claimedAt),
    custom_attributes: row.customAttributes,
    component_attributes: {},
    groups: row.groups,
    auto_update: row.autoUpdate,
    deployment: row.deployment,
    device_class: row.deviceClass,
    firmware_checksum: "",
    host_gateway: row.hostGateway,
    manifest: row.manifest,
    manifest_timestamp: null,
    mechanism: row.mechanism === "connector" || row.mechanism === "direct" ? row.mechanism : null,
    mechanism_url: row.mechanismUrl,
    net_id: "",
    serial_number: row.serialNumber,
    vendor_id: row.vendorId,
    lifecycle_status: row.suspendedAt || row.certificateOff ? "blocked" : "enabled",
    operator_suspended: row.suspendedAt !== null,
    last_operator_suspended_category: row.suspendedCategory,
    last_operator_suspended_description: row.suspendedDescription,
    last_operator_suspended_updated_at: isoOrNull(row.suspensionUpdatedAt),
    system_suspended: row.certificateOff,
    last_system_suspended_category: null,
    last_system_suspended_description: null,
    last_system_suspended_updated_at: null,
    created_at: iso(row.createdAt),
    updated_at: iso(row.updatedAt),
    etag: iso(row.updatedAt),
  };
}

/** A fingerprint as Pelion writes it: pairs in capitals with colons between. */
const colons = (text: string) =>
  /^[0-9a-f]{64}$/.test(text) ? (text.toUpperCase().match(/../g) ?? []).join(":") : text;
