import { execFileSync } from "node:child_process";
import { afterAll, describe, expect, it } from "vitest";
import { bundleFiles, createDeveloperCertificate, createRootAuthority } from "@/server/pki";
import { has, OpensslFolder } from "@/tests/support/pki";

const folder = new OpensslFolder();
afterAll(() => folder.remove());

const strange = 'quote " back \\ what??= größe */ \u0007x';
const make = (endpointName: string) => {
  const accountId = "a".repeat(32);
  const credentials = createDeveloperCertificate({ accountId, endpointName });
  const files = bundleFiles({
    ...credentials,
    accountId,
    endpointName,
    bootstrapUri: { udp: "coaps://[2001:db8::1]:5784", tcp: "coaps+tcp://[2001:db8::1]:5784" },
    serverCa: createRootAuthority("CA").certificate,
  });
  folder.write("mbed_cloud_dev_credentials.c", files["mbed_cloud_dev_credentials.c"] as Uint8Array);
  return credentials;
};

describe.each([
  ["gcc", ["-std=c99", "-pedantic", "-Wall", "-Wextra", "-Wtrigraphs", "-trigraphs", "-Werror"]],
  ["g++", ["-x", "c++", "-Wall", "-Werror", "-Wno-unused-variable", "-Wno-unused-const-variable"]],
])("mbed_cloud_dev_credentials.c", (compiler, options) => {
  it.skipIf(!has(compiler)).each(["e".repeat(32), strange])(
    `compiles with ${compiler} (endpoint name %j)`,
    (name) => {
      make(name);
      const args = [...options, "-fsyntax-only", "mbed_cloud_dev_credentials.c"];
      expect(execFileSync(compiler, args, { cwd: folder.path, encoding: "utf8" })).toBe("");
    },
  );
});

it.skipIf(!has("gcc"))("holds the very bytes and texts", () => {
  const credentials = make(strange);
  folder.write(
    "main.c",
    `#include <stdio.h>
#include "mbed_cloud_dev_credentials.c"
int main(void) {
  for (uint32_t i = 0; i < MBED_CLOUD_DEV_BOOTSTRAP_DEVICE_CERTIFICATE_SIZE; i++)
    printf("%02x", MBED_CLOUD_DEV_BOOTSTRAP_DEVICE_CERTIFICATE[i]);
  printf("\\n");
  for (uint32_t i = 0; i < MBED_CLOUD_DEV_BOOTSTRAP_DEVICE_PRIVATE_KEY_SIZE; i++)
    printf("%02x", MBED_CLOUD_DEV_BOOTSTRAP_DEVICE_PRIVATE_KEY[i]);
  printf("\\n%s\\n%s", MBED_CLOUD_DEV_BOOTSTRAP_SERVER_URI, MBED_CLOUD_DEV_BOOTSTRAP_ENDPOINT_NAME);
  return 0;
}`,
  );
  execFileSync("gcc", ["-trigraphs", "-o", "main", "main.c"], { cwd: folder.path });
  const [certificate, key, uri, ...name] = execFileSync("./main", {
    cwd: folder.path,
    encoding: "utf8",
  }).split("\n");
  expect(certificate).toBe(Buffer.from(credentials.certificate).toString("hex"));
  expect(key).toBe(Buffer.from(credentials.privateKey).toString("hex"));
  expect(uri).toBe(`coaps://[2001:db8::1]:5784?aid=${"a".repeat(32)}`);
  expect(name.join("\n")).toBe(strange);
});
