import { createHash } from "node:crypto";
import type { Clock } from "../clock";
import { Alert, alertName, describeFault, FAULTS } from "./alerts";
import type { HandshakeParty, SslFault } from "./openssl";
import { ContentType } from "./record-layer";
import type {
  Address,
  CertificateFault,
  HandshakeFailure,
  PeerIdentity,
  TransportKind,
  Verifier,
} from "./types";

/** A client may ask for a few handshakes over one connection; more is an attack on our arithmetic. */
const MAX_VERIFICATIONS = 8;

/** What became of the client's certificate in the handshakes of one connection. */
export class ClientCheck implements HandshakeParty {
  /** The chain it presented; emptied once it is accepted. */
  chain: Buffer[] = [];
  identity: PeerIdentity | null = null;
  refusal: { fault: CertificateFault; message: string } | null = null;
  readonly #verify: Verifier;
  #leaf = "";
  #count = 0;

  constructor(
    verify: Verifier,
    readonly remote: Address,
  ) {
    this.#verify = verify;
  }

  onverify(chain: Buffer[]): number {
    this.chain = chain;
    this.refusal = this.#judge(chain);
    return this.refusal ? FAULTS[this.refusal.fault].error : 0;
  }

  #judge(chain: Buffer[]): ClientCheck["refusal"] {
    const [leaf] = chain;
    if (!leaf) return { fault: "bad_certificate", message: "The peer sent no certificate." };
    if (++this.#count > MAX_VERIFICATIONS) {
      return { fault: "access_denied", message: "The peer renegotiated too often." };
    }
    const hash = createHash("sha256").update(leaf).digest("base64");
    if (this.#leaf !== "" && this.#leaf !== hash) {
      return { fault: "access_denied", message: "The peer changed its certificate in a renegotiation." };
    }
    try {
      const verdict = this.#verify(chain, this.remote);
      if (!verdict.ok) return { fault: verdict.fault, message: verdict.message };
      this.identity = verdict.identity;
      this.#leaf = hash;
      this.chain = [];
      return null;
    } catch (error) {
      const message = `The check of the certificate broke down: ${error instanceof Error ? error.message : error}`;
      return { fault: "bad_certificate", message };
    }
  }

  /** The report about a handshake that came to nothing. `sent` is the alert we sent in the clear. */
  failure(
    transport: TransportKind,
    fault: SslFault | null,
    sent: number | null,
    message: string,
  ): HandshakeFailure {
    const report = { remote: this.remote, transport, chain: this.chain };
    if (this.refusal) {
      return {
        ...report,
        alert: FAULTS[this.refusal.fault].alert,
        alertBy: "us",
        message: this.refusal.message,
      };
    }
    if (!fault) return { ...report, alert: null, alertBy: null, message };
    if (fault.alertReceived !== null) {
      return {
        ...report,
        alert: alertName(fault.alertReceived),
        alertBy: "peer",
        message: describeFault(fault),
      };
    }
    const alert = sent === null ? null : alertName(sent);
    return { ...report, alert, alertBy: alert === null ? null : "us", message: describeFault(fault) };
  }
}

/**
 * Finds an alert in the clear in our output, and makes it access_denied where that is meant: OpenSSL maps no
 * verification error to it. `header` is the record header's length: 5 for TLS, 13 for DTLS.
 */
export function settleAlert(output: Buffer, header: 5 | 13, refusal: ClientCheck["refusal"]): number | null {
  let alert: number | null = null;
  for (let at = 0; at + header <= output.length; ) {
    const length = output.readUInt16BE(at + header - 2);
    if (output[at] === ContentType.alert && length === 2 && at + header + 2 <= output.length) {
      if (refusal?.fault === "access_denied") output[at + header + 1] = Alert.accessDenied;
      alert = output[at + header + 1] as number;
    }
    at += header + length;
  }
  return alert;
}

/** Keeps reports that anyone can cause without a handshake from flooding the log. */
export class ReportLimit {
  readonly #clock: Clock;
  #from = Number.NEGATIVE_INFINITY;
  #count = 0;

  constructor(
    clock: Clock,
    readonly limit = 20,
    readonly perMs = 10_000,
  ) {
    this.#clock = clock;
  }

  allows(): boolean {
    const now = this.#clock.now();
    if (now - this.#from >= this.perMs) {
      this.#from = now;
      this.#count = 0;
    }
    return ++this.#count <= this.limit;
  }
}
