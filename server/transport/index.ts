export {
  type ConnectOptions,
  connectDtls,
  connectTcp,
  connectTls,
  connectUdp,
  type DtlsConnectOptions,
  type SecureConnectOptions,
} from "./client";
export { type DtlsListenOptions, listenDtls } from "./dtls";
export { listenTcp } from "./tcp";
export { listenTls, type SecureListenOptions } from "./tls";
export * from "./types";
export { listenUdp, type PlainListenOptions } from "./udp";
