export { BundleError, bundleFiles, developerBundle, readBundle } from "./bundle";
export { developerCredentialsC } from "./bundle-c";
export type { Bundle, BundleInput } from "./bundle-types";
export { type Anchor, verifyChain } from "./chain";
export { type CertificateRequest, parseCertificateRequest } from "./csr";
export { DerError } from "./der";
export {
  type Credentials,
  createDeveloperCertificate,
  createRootAuthority,
  createServerCertificate,
  DeviceCertificateIssuer,
} from "./issue";
export { authorityOf, fingerprint, parseCertificate } from "./parse";
export { toPem } from "./pem";
export { createVault, VaultError } from "./vault";
