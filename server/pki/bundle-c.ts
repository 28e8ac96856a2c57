import type { BundleInput } from "./bundle-types";

/** `mbed_cloud_dev_credentials.c` for Pelion's client: same symbols in the same order as its own template. */
export function developerCredentialsC(input: BundleInput): string {
  const uri = `${input.bootstrapUri.udp}?aid=${input.accountId}`;
  return `/*
 * Credentials of the endpoint ${commentText(input.endpointName)}, made by Gangway.
 * Holds a private key: do not publish it.
 */
#ifndef __MBED_CLOUD_DEV_CREDENTIALS_H__
#define __MBED_CLOUD_DEV_CREDENTIALS_H__

#include <inttypes.h>

const char MBED_CLOUD_DEV_BOOTSTRAP_ENDPOINT_NAME[] = ${quote(input.endpointName)};
const char MBED_CLOUD_DEV_ACCOUNT_ID[] = ${quote(input.accountId)};
const char MBED_CLOUD_DEV_BOOTSTRAP_SERVER_URI[] = ${quote(uri)};

const uint8_t MBED_CLOUD_DEV_BOOTSTRAP_DEVICE_CERTIFICATE[] =
${bytes(input.certificate)};

const uint8_t MBED_CLOUD_DEV_BOOTSTRAP_SERVER_ROOT_CA_CERTIFICATE[] =
${bytes(input.serverCa)};

const uint8_t MBED_CLOUD_DEV_BOOTSTRAP_DEVICE_PRIVATE_KEY[] =
${bytes(input.privateKey)};

const char MBED_CLOUD_DEV_MANUFACTURER[] = "dev_manufacturer";
const char MBED_CLOUD_DEV_MODEL_NUMBER[] = "dev_model_num";
const char MBED_CLOUD_DEV_SERIAL_NUMBER[] = "0";
const char MBED_CLOUD_DEV_DEVICE_TYPE[] = "dev_device_type";
const char MBED_CLOUD_DEV_HARDWARE_VERSION[] = "dev_hardware_version";
const uint32_t MBED_CLOUD_DEV_MEMORY_TOTAL_KB = 0;
const uint32_t MBED_CLOUD_DEV_BOOTSTRAP_DEVICE_CERTIFICATE_SIZE = sizeof(MBED_CLOUD_DEV_BOOTSTRAP_DEVICE_CERTIFICATE);
const uint32_t MBED_CLOUD_DEV_BOOTSTRAP_SERVER_ROOT_CA_CERTIFICATE_SIZE = sizeof(MBED_CLOUD_DEV_BOOTSTRAP_SERVER_ROOT_CA_CERTIFICATE);
const uint32_t MBED_CLOUD_DEV_BOOTSTRAP_DEVICE_PRIVATE_KEY_SIZE = sizeof(MBED_CLOUD_DEV_BOOTSTRAP_DEVICE_PRIVATE_KEY);

#endif //__MBED_CLOUD_DEV_CREDENTIALS_H__
`;
}

/** An initialiser with eight bytes per line. */
function bytes(content: Uint8Array): string {
  const lines: string[] = [];
  for (let at = 0; at < content.length; at += 8) {
    const row = Array.from(content.subarray(at, at + 8), (byte) => `0x${byte.toString(16).padStart(2, "0")}`);
    lines.push(row.join(", "));
  }
  return `{ ${lines.join(",\n  ")} }`;
}

/** A C string literal; three octal digits cannot run into what follows, and `\?` makes no trigraph. */
function quote(text: string): string {
  const escaped = [...Buffer.from(text, "utf8")].map((byte, at, all) => {
    const char = String.fromCharCode(byte);
    if (char === '"' || char === "\\") return `\\${char}`;
    if (char === "?" && all[at - 1] === byte) return "\\?";
    return byte >= 0x20 && byte < 0x7f ? char : `\\${byte.toString(8).padStart(3, "0")}`;
  });
  return `"${escaped.join("")}"`;
}

/** Text that cannot end the comment it stands in. */
const commentText = (text: string) => text.replace(/[^\x20-\x7e]|\*\/|\\/g, "_");
