import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createVault, VaultError } from "@/server/pki";

describe("the vault", () => {
  let dataDir: string;
  beforeEach(() => {
    dataDir = mkdtempSync(join(tmpdir(), "gangway-vault-"));
  });
  afterEach(() => rmSync(dataDir, { recursive: true, force: true }));

  it("opens what it sealed, for the same purpose only", () => {
    const vault = createVault({ dataDir, secret: "a secret of sufficient length" });
    fc.assert(
      fc.property(fc.uint8Array(), fc.string(), (plain, purpose) => {
        const sealed = vault.seal(plain, purpose);
        expect(Buffer.from(vault.open(sealed, purpose))).toEqual(Buffer.from(plain));
        expect(() => vault.open(sealed, `${purpose}!`)).toThrow(VaultError);
      }),
    );
    expect(vault.seal(Buffer.from("x"), "p")).not.toEqual(vault.seal(Buffer.from("x"), "p"));
  });

  it("refuses every changed byte", () => {
    const vault = createVault({ dataDir, secret: "a secret of sufficient length" });
    const sealed = vault.seal(Buffer.from("key"), "p");
    for (let at = 0; at < sealed.length; at++) {
      const changed = Buffer.from(sealed);
      changed[at] = (changed[at] as number) ^ 1;
      expect(() => vault.open(changed, "p")).toThrow(VaultError);
      expect(() => vault.open(sealed.subarray(0, at), "p")).toThrow(VaultError);
    }
  });

  it("makes the file once, readable for its owner only, and goes on with it", () => {
    const sealed = createVault({ dataDir, secret: null }).seal(Buffer.from("key"), "p");
    expect(createVault({ dataDir, secret: null }).open(sealed, "p").toString()).toBe("key");
    expect(readdirSync(dataDir)).toEqual(["secret"]);
    if (process.platform !== "win32") expect(statSync(join(dataDir, "secret")).mode & 0o777).toBe(0o600);
    expect(readFileSync(join(dataDir, "secret"), "utf8").trim()).toHaveLength(43);
  });

  it("says in words that the secret is another one, or lost", () => {
    const sealed = createVault({ dataDir, secret: null }).seal(Buffer.from("key"), "server-ca");
    const other = createVault({ dataDir, secret: "another secret, long enough" });
    expect(() => other.open(sealed, "server-ca")).toThrow(
      /The sealed server-ca cannot be opened: GANGWAY_SECRET/,
    );
    writeFileSync(join(dataDir, "secret"), "");
    expect(() => createVault({ dataDir, secret: null })).toThrow("restore it from a backup");
  });
});
