export {
  type ConnectOptions,
  connectDtls,
  connectTcp,
  connectTls,
  connectUdp,
  type DtlsClient,
  type DtlsConnectOptions,
  resumeDtls,
  type SecureConnectOptions,
} from "./client";
export { type DtlsListenOptions, listenDtls } from "./dtls";
export { listenTcp } from "./tcp";
export { listenTls, type SecureListenOptions } from "./tls";
export * from "./types";
export { listenUdp, type PlainListenOptions } from "./udp";
