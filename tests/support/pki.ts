import { execFileSync, spawnSync } from "node:child_process";
import { sign } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Whether a program can be run here. */
export const has = (program: string) =>
  spawnSync(program, ["--version"], { stdio: "ignore" }).error === undefined;

/** Shows that an account holds a key (PKCS#8): the signature of its id. */
export const proofOf = (accountId: string, privateKey: Uint8Array): string =>
  sign("sha256", Buffer.from(accountId), {
    key: Buffer.from(privateKey),
    format: "der",
    type: "pkcs8",
  }).toString("base64");

/** A folder in which the openssl program makes and checks what we did not make. */
export class OpensslFolder {
  readonly path = mkdtempSync(join(tmpdir(), "gangway-openssl-"));

  run(...args: string[]): string {
    return execFileSync("openssl", args, {
      cwd: this.path,
      encoding: "utf8",
      stdio: ["ignore", "pipe", "pipe"],
    });
  }

  write(name: string, content: string | Uint8Array): string {
    writeFileSync(join(this.path, name), content);
    return name;
  }

  read(name: string): Buffer {
    return readFileSync(join(this.path, name));
  }

  /** A certificate made by openssl, DER; without an issuer it is self-signed. */
  certificate(
    name: string,
    options: {
      subject: string;
      issuer?: string;
      extensions?: string[];
      days?: number;
      digest?: string;
      key?: string[];
    },
  ): Buffer {
    this.write(`${name}.ext`, ["[v3]", ...(options.extensions ?? [])].join("\n"));
    const key = options.key ?? ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"];
    this.run(
      "req",
      "-new",
      "-newkey",
      ...key,
      "-nodes",
      "-keyout",
      `${name}.key`,
      "-subj",
      options.subject,
      "-utf8",
      "-out",
      `${name}.csr`,
    );
    const by = options.issuer
      ? ["-CA", `${options.issuer}.pem`, "-CAkey", `${options.issuer}.key`, "-CAcreateserial"]
      : ["-signkey", `${name}.key`];
    this.run(
      ...["x509", "-req", "-in", `${name}.csr`, ...by, "-days", String(options.days ?? 30)],
      ...[
        "-extfile",
        `${name}.ext`,
        "-extensions",
        "v3",
        `-${options.digest ?? "sha256"}`,
        "-out",
        `${name}.pem`,
      ],
    );
    this.run("x509", "-in", `${name}.pem`, "-outform", "DER", "-out", `${name}.der`);
    return this.read(`${name}.der`);
  }

  remove(): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}
