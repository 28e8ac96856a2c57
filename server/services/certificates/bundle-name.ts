/** The file name of a certificate's bundle. */
export function bundleName(certificateName: string): string {
  const plain = certificateName
    .normalize("NFKD")
    .replace(/[^A-Za-z0-9]+/g, "-")
    .replace(/^-+|-+$/g, "")
    .slice(0, 60)
    .toLowerCase();
  return `${plain || "developer-certificate"}.zip`;
}
