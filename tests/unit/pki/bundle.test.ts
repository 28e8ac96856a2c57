import { strFromU8, unzipSync, zipSync } from "fflate";
import { describe, expect, it } from "vitest";
import {
  BundleError,
  type BundleInput,
  bundleFiles,
  createDeveloperCertificate,
  createRootAuthority,
  developerBundle,
  readBundle,
  toPem,
} from "@/server/pki";

const accountId = "0123456789abcdef".repeat(2);
const endpointName = "fedcba9876543210".repeat(2);
const input: BundleInput = {
  accountId,
  endpointName,
  bootstrapUri: { udp: "coaps://gateway.example:5784", tcp: "coaps+tcp://gateway.example:5784" },
  ...createDeveloperCertificate({ accountId, endpointName }),
  serverCa: createRootAuthority("Server CA").certificate,
  fileName: "my devices.zip",
};
const text = (name: string) => strFromU8(bundleFiles(input)[name] as Uint8Array);

describe("the bundle", () => {
  it("holds every form of the credentials", () => {
    const files = unzipSync(developerBundle(input));
    expect(Object.keys(files).sort()).toEqual([
      "README.md",
      "device.der",
      "device.pem",
      "gangway.json",
      "key.der",
      "key.pem",
      "mbed_cloud_dev_credentials.c",
      "server-ca.der",
      "server-ca.pem",
    ]);
    expect(strFromU8(files["key.pem"] as Uint8Array)).toBe(toPem(input.privateKey, "PRIVATE KEY"));
  });

  it("can be read back", () => {
    const { version, certificate, privateKey, serverCa, ...rest } = readBundle(developerBundle(input));
    expect(version).toBe(1);
    expect(rest).toEqual({ accountId, endpointName, bootstrapUri: input.bootstrapUri });
    expect([certificate, privateKey, serverCa].map((bytes) => Buffer.from(bytes).toString("hex"))).toEqual(
      [input.certificate, input.privateKey, input.serverCa].map((bytes) =>
        Buffer.from(bytes).toString("hex"),
      ),
    );
  });

  it("has the symbols of Pelion's template, in its order", () => {
    const source = text("mbed_cloud_dev_credentials.c");
    expect(
      [...source.matchAll(/^const (\w+) (\w+)(\[\])? =/gm)].map(
        ([, type, name, array]) => `${type} ${name}${array ?? ""}`,
      ),
    ).toEqual([
      "char MBED_CLOUD_DEV_BOOTSTRAP_ENDPOINT_NAME[]",
      "char MBED_CLOUD_DEV_ACCOUNT_ID[]",
      "char MBED_CLOUD_DEV_BOOTSTRAP_SERVER_URI[]",
      "uint8_t MBED_CLOUD_DEV_BOOTSTRAP_DEVICE_CERTIFICATE[]",
      "uint8_t MBED_CLOUD_DEV_BOOTSTRAP_SERVER_ROOT_CA_CERTIFICATE[]",
      "uint8_t MBED_CLOUD_DEV_BOOTSTRAP_DEVICE_PRIVATE_KEY[]",
      "char MBED_CLOUD_DEV_MANUFACTURER[]",
      "char MBED_CLOUD_DEV_MODEL_NUMBER[]",
      "char MBED_CLOUD_DEV_SERIAL_NUMBER[]",
      "char MBED_CLOUD_DEV_DEVICE_TYPE[]",
      "char MBED_CLOUD_DEV_HARDWARE_VERSION[]",
      "uint32_t MBED_CLOUD_DEV_MEMORY_TOTAL_KB",
      "uint32_t MBED_CLOUD_DEV_BOOTSTRAP_DEVICE_CERTIFICATE_SIZE",
      "uint32_t MBED_CLOUD_DEV_BOOTSTRAP_SERVER_ROOT_CA_CERTIFICATE_SIZE",
      "uint32_t MBED_CLOUD_DEV_BOOTSTRAP_DEVICE_PRIVATE_KEY_SIZE",
    ]);
    expect(source).toContain(
      `const char MBED_CLOUD_DEV_BOOTSTRAP_SERVER_URI[] = "coaps://gateway.example:5784?aid=${accountId}";`,
    );
    expect(source).toContain("#ifndef __MBED_CLOUD_DEV_CREDENTIALS_H__\n");
    expect(source).toContain("= sizeof(MBED_CLOUD_DEV_BOOTSTRAP_DEVICE_CERTIFICATE);");
    const arrays = [...source.matchAll(/uint8_t \w+\[\] =\n\{ ([^}]*) \};/g)].map(
      ([, body]) => body as string,
    );
    for (const body of arrays)
      for (const line of body.split("\n").slice(0, -1)) expect(line.match(/0x[0-9a-f]{2}/g)).toHaveLength(8);
    const [first] = arrays.map((body) =>
      Buffer.from((body.match(/[0-9a-f]{2}(?=,|$)/gm) ?? []).join(""), "hex"),
    );
    expect(first).toEqual(Buffer.from(input.certificate));
  });

  it("has commands that can be pasted", () => {
    const readme = text("README.md");
    expect(readme).toContain("npm run gangway -- device run 'my devices.zip'");
    expect(readme).toContain(`./demo -e ${endpointName} -b -u coaps://gateway.example:5784 \\`);
    expect(readme).toContain("--certificate-usage 2 -C device.der -K key.der -P server-ca.der");
    expect(readme).toContain("openssl s_client -dtls1_2 -connect gateway.example:5784 ");
  });

  it("refuses in words what is no bundle", () => {
    const changed = (change: (json: Record<string, unknown>) => void) => {
      const json = JSON.parse(text("gangway.json"));
      change(json);
      return zipSync({ "gangway.json": Buffer.from(JSON.stringify(json)) });
    };
    const other = createDeveloperCertificate({ accountId, endpointName });
    for (const [zip, words] of [
      [Buffer.from("no zip"), "no zip file"],
      [new Uint8Array(2 * 1024 * 1024), "too large"],
      [zipSync({ "a.txt": Buffer.from("x") }), "no gangway.json"],
      [zipSync({ "gangway.json": Buffer.from("{") }), "gangway.json is damaged"],
      [zipSync({ "gangway.json": new Uint8Array(70_000) }), "no gangway.json"],
      [changed((json) => (json.version = 2)), "made by a newer version"],
      [changed((json) => (json.endpointName = "")), "endpointName is empty"],
      [changed((json) => (json.certificate = "AAAA")), "certificate cannot be read"],
      [changed((json) => (json.privateKey = "!")), "privateKey is not base64"],
      [
        changed((json) => (json.bootstrapUri = { udp: "http://x", tcp: "" })),
        "bootstrapUri.udp is not coaps://host:port",
      ],
      [
        changed((json) => (json.privateKey = Buffer.from(other.privateKey).toString("base64"))),
        "not that of its certificate",
      ],
    ] as const) {
      expect(() => readBundle(zip)).toThrow(BundleError);
      expect(() => readBundle(zip)).toThrow(words);
    }
  });
});
