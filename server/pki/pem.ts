/** DER as PEM text [RFC7468]. */
export function toPem(der: Uint8Array, label: "CERTIFICATE" | "PRIVATE KEY"): string {
  const lines =
    Buffer.from(der)
      .toString("base64")
      .match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${label}-----\n${lines.join("\n")}\n-----END ${label}-----\n`;
}
