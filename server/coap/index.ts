export { codeByte, codeText } from "./codes";
export { type AttachOptions, CoapEndpoint, DEFAULT_LIMITS, type EndpointOptions } from "./endpoint";
export type { Framing } from "./framing";
export { decodeMessage, encodeMessage, Malformed, type Message, Type } from "./message";
export { type CoapOption, OptionNumber } from "./options";
export {
  DEFAULT_PARAMETERS,
  exchangeLifetime,
  maxTransmitSpan,
  maxTransmitWait,
  nonLifetime,
  processingDelay,
  retransmissionWaits,
  type TransmissionParameters,
} from "./parameters";
export type { Limits, PeerSettings } from "./session";
export * from "./types";
