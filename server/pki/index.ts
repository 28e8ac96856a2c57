export { BundleError, bundleFiles, developerBundle, readBundle } from "./bundle";
export type { Bundle, BundleInput } from "./bundle-types";
export { type Anchor, type ChainVerdict, type VerifiedCertificate, verifyChain } from "./chain";
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
