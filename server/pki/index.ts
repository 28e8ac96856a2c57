export { DerError } from "./der";
export {
  type Credentials,
  createDeveloperCertificate,
  createRootAuthority,
  createServerCertificate,
  DeviceCertificateIssuer,
  type DeviceCertificateRequest,
  type IssuedCertificate,
} from "./issue";
export type { Name } from "./names";
export { type CertificateFacts, fingerprint, parseCertificate } from "./parse";
export { toPem } from "./pem";
export { createVault, VaultError } from "./vault";
