import { deviceStates } from "@/server/services/devices/view";
import { date, dateTime, id, listOf, text, z } from "../zod";

export const customAttributes = z.record(
  z
    .string()
    .regex(/^[A-Za-z]/, "must start with a letter")
    .max(128, "may have at most 128 characters"),
  z.string().max(128, "may have at most 128 characters"),
);
const executionMode = z.union([z.literal(0), z.literal(1), z.literal(5)]);
const mechanism = z.enum(["connector", "direct"]);

export const deviceResponse = z
  .object({
    object: z.literal("device"),
    id,
    account_id: id,
    endpoint_name: z.string(),
    endpoint_type: z.string(),
    name: z.string(),
    description: z.string(),
    state: z.enum(deviceStates),
    device_execution_mode: executionMode,
    deployed_state: z.enum(["development", "production"]).nullable(),
    ca_id: z.string(),
    device_key: z.string(),
    issuer_fingerprint: z.string().nullable(),
    bootstrap_expiration_date: date.nullable(),
    connector_expiration_date: date.nullable(),
    bootstrapped_timestamp: dateTime.nullable(),
    enrolment_list_timestamp: dateTime.nullable(),
    custom_attributes: z.record(z.string(), z.string()),
    component_attributes: z.record(z.string(), z.string()),
    groups: z.array(id),
    auto_update: z.boolean(),
    deployment: z.string(),
    device_class: z.string(),
    firmware_checksum: z.string(),
    host_gateway: z.string(),
    manifest: z.string(),
    manifest_timestamp: dateTime.nullable(),
    mechanism: mechanism.nullable(),
    mechanism_url: z.string(),
    net_id: z.string(),
    serial_number: z.string(),
    vendor_id: z.string(),
    lifecycle_status: z.enum(["enabled", "blocked"]),
    operator_suspended: z.boolean(),
    last_operator_suspended_category: z.string().nullable(),
    last_operator_suspended_description: z.string().nullable(),
    last_operator_suspended_updated_at: dateTime.nullable(),
    system_suspended: z.boolean().openapi({ description: "The certificate it came in by is switched off." }),
    last_system_suspended_category: z.null(),
    last_system_suspended_description: z.null(),
    last_system_suspended_updated_at: z.null(),
    created_at: dateTime,
    updated_at: dateTime,
    etag: dateTime,
  })
  .openapi("Device");

export const deviceList = listOf("DeviceList", deviceResponse);

export const createDeviceBody = z
  .object({
    endpoint_name: text(128).openapi({ description: "The name that it will come with." }),
    endpoint_type: text(64),
    name: text(128),
    description: text(2000),
    custom_attributes: customAttributes.nullish(),
    device_execution_mode: executionMode.nullish(),
    ca_id: z.union([z.literal(""), id]).nullish(),
    device_key: text(512),
    issuer_fingerprint: z
      .string()
      .regex(/^[0-9A-Fa-f]{64}$/, "must be 64 hexadecimal characters")
      .nullish(),
    bootstrap_expiration_date: date.nullish(),
    connector_expiration_date: date.nullish(),
    auto_update: z.boolean().nullish(),
    deployment: text(256),
    device_class: text(32),
    host_gateway: text(128),
    manifest: text(1024),
    mechanism: mechanism.nullish(),
    mechanism_url: text(1024),
    serial_number: text(64),
    vendor_id: text(255),
  })
  .openapi("DeviceCreate");

export const updateDeviceBody = z
  .object({
    name: text(128),
    description: text(2000),
    endpoint_type: text(64),
    custom_attributes: customAttributes.nullish(),
    auto_update: z.boolean().nullish(),
    host_gateway: text(128),
    ca_id: text(500),
    device_key: text(512),
    endpoint_name: text(128),
  })
  .openapi("DeviceUpdate");
