/** Transmission parameters [RFC7252 §4.8]; the names there are given behind each. */
export interface TransmissionParameters {
  /** ACK_TIMEOUT: the shortest first wait for an acknowledgement. */
  ackTimeoutMs: number;
  /** ACK_RANDOM_FACTOR: the first wait is up to this many times longer. */
  ackRandomFactor: number;
  /** MAX_RETRANSMIT */
  maxRetransmit: number;
  /** MAX_LATENCY: the longest a datagram is thought to be under way. */
  maxLatencyMs: number;
}

export const DEFAULT_PARAMETERS: Readonly<TransmissionParameters> = {
  ackTimeoutMs: 2000,
  ackRandomFactor: 1.5,
  maxRetransmit: 4,
  maxLatencyMs: 100_000,
};

/** PROCESSING_DELAY = ACK_TIMEOUT. */
export function processingDelay(p: TransmissionParameters): number {
  return p.ackTimeoutMs;
}

/** MAX_TRANSMIT_SPAN = ACK_TIMEOUT * (2 ^ MAX_RETRANSMIT - 1) * ACK_RANDOM_FACTOR; 45 s by default. */
export function maxTransmitSpan(p: TransmissionParameters): number {
  return p.ackTimeoutMs * (2 ** p.maxRetransmit - 1) * p.ackRandomFactor;
}

/** MAX_TRANSMIT_WAIT = ACK_TIMEOUT * (2 ^ (MAX_RETRANSMIT + 1) - 1) * ACK_RANDOM_FACTOR; 93 s by default. */
export function maxTransmitWait(p: TransmissionParameters): number {
  return p.ackTimeoutMs * (2 ** (p.maxRetransmit + 1) - 1) * p.ackRandomFactor;
}

/** EXCHANGE_LIFETIME = MAX_TRANSMIT_SPAN + 2 * MAX_LATENCY + PROCESSING_DELAY; 247 s by default. */
export function exchangeLifetime(p: TransmissionParameters): number {
  return maxTransmitSpan(p) + 2 * p.maxLatencyMs + processingDelay(p);
}

/** NON_LIFETIME = MAX_TRANSMIT_SPAN + MAX_LATENCY; 145 s by default. */
export function nonLifetime(p: TransmissionParameters): number {
  return maxTransmitSpan(p) + p.maxLatencyMs;
}

/**
 * How long to wait after each sending of one confirmable message [RFC7252 §4.2]: every wait but the last
 * is followed by a retransmission, the last by giving up.
 */
export function* retransmissionWaits(p: TransmissionParameters, random: () => number): Generator<number> {
  let wait = p.ackTimeoutMs * (1 + random() * (p.ackRandomFactor - 1));
  for (let sendings = 0; sendings <= p.maxRetransmit; sendings++) {
    yield wait;
    wait *= 2;
  }
}
