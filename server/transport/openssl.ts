/**
 * The few OpenSSL functions of Node's own binary that DTLS and message-wise TLS need, with typed wrappers.
 * Every handle is owned by exactly one object here and freed exactly once; no pointer leaves this file.
 */
import koffi from "koffi";
import type { CidForm } from "./record-layer";
import type { ServerCredentials } from "./types";

type Pointer = bigint;
type Bytes = Uint8Array;

const lib = koffi.load(null);
// biome-ignore lint/suspicious/noExplicitAny: the type is given where the function is bound
function bind<F extends (...args: any[]) => unknown>(name: string, result: string, parameters: string[]): F {
  return lib.func(name, result, parameters) as unknown as F;
}
const P = "void *";

const BIO_s_mem = bind<() => Pointer>("BIO_s_mem", P, []);
const BIO_new = bind<(method: Pointer) => Pointer | null>("BIO_new", P, [P]);
const BIO_up_ref = bind<(bio: Pointer) => number>("BIO_up_ref", "int", [P]);
const BIO_ctrl = bind<(bio: Pointer, command: number, value: number, pointer: null) => number>(
  "BIO_ctrl",
  "long",
  [P, "int", "long", P],
);
const BIO_read = bind<(bio: Pointer, into: Bytes, length: number) => number>("BIO_read", "int", [
  P,
  P,
  "int",
]);
const BIO_write = bind<(bio: Pointer, from: Bytes, length: number) => number>("BIO_write", "int", [
  P,
  P,
  "int",
]);
const BIO_ADDR_new = bind<() => Pointer>("BIO_ADDR_new", P, []);

const ERR_clear_error = bind<() => void>("ERR_clear_error", "void", []);
const ERR_get_error = bind<() => number | bigint>("ERR_get_error", "ulong", []);
const ERR_reason_error_string = bind<(code: number) => string | null>("ERR_reason_error_string", "str", [
  "ulong",
]);

const methods = {
  "dtls-server": bind<() => Pointer>("DTLS_server_method", P, []),
  "dtls-client": bind<() => Pointer>("DTLS_client_method", P, []),
  "tls-server": bind<() => Pointer>("TLS_server_method", P, []),
  "tls-client": bind<() => Pointer>("TLS_client_method", P, []),
};

const SSL_CTX_new = bind<(method: Pointer) => Pointer | null>("SSL_CTX_new", P, [P]);
const SSL_CTX_free = bind<(ctx: Pointer) => void>("SSL_CTX_free", "void", [P]);
const SSL_CTX_ctrl = bind<
  (ctx: Pointer, command: number, value: number, pointer: string | Bytes | Pointer | null) => number
>("SSL_CTX_ctrl", "long", [P, "int", "long", P]);
const SSL_CTX_set_options = bind<(ctx: Pointer, options: number) => number>("SSL_CTX_set_options", "uint64", [
  P,
  "uint64",
]);
const SSL_CTX_set_cipher_list = bind<(ctx: Pointer, list: string) => number>(
  "SSL_CTX_set_cipher_list",
  "int",
  [P, "str"],
);
const SSL_CTX_set_ciphersuites = bind<(ctx: Pointer, list: string) => number>(
  "SSL_CTX_set_ciphersuites",
  "int",
  [P, "str"],
);
const SSL_CTX_set_num_tickets = bind<(ctx: Pointer, count: number) => number>(
  "SSL_CTX_set_num_tickets",
  "int",
  [P, "size_t"],
);
const SSL_CTX_use_certificate_ASN1 = bind<(ctx: Pointer, length: number, der: Bytes) => number>(
  "SSL_CTX_use_certificate_ASN1",
  "int",
  [P, "int", P],
);
const SSL_CTX_use_PrivateKey = bind<(ctx: Pointer, key: Pointer) => number>("SSL_CTX_use_PrivateKey", "int", [
  P,
  P,
]);
const SSL_CTX_set_verify = bind<(ctx: Pointer, mode: number, callback: null) => void>(
  "SSL_CTX_set_verify",
  "void",
  [P, "int", P],
);
const SSL_CTX_set_cert_verify_callback = bind<(ctx: Pointer, callback: Pointer, argument: null) => void>(
  "SSL_CTX_set_cert_verify_callback",
  "void",
  [P, P, P],
);
const SSL_CTX_set_cookie_verify_cb = bind<(ctx: Pointer, callback: Pointer) => void>(
  "SSL_CTX_set_cookie_verify_cb",
  "void",
  [P, P],
);
const SSL_CTX_set_alpn_select_cb = bind<(ctx: Pointer, callback: Pointer, argument: null) => void>(
  "SSL_CTX_set_alpn_select_cb",
  "void",
  [P, P, P],
);
const SSL_CTX_set_alpn_protos = bind<(ctx: Pointer, protocols: Bytes, length: number) => number>(
  "SSL_CTX_set_alpn_protos",
  "int",
  [P, P, "uint"],
);
const SSL_CTX_add_custom_ext = bind<
  (
    ctx: Pointer,
    type: number,
    context: number,
    add: Pointer,
    free: null,
    addArg: null,
    parse: Pointer,
    parseArg: null,
  ) => number
>("SSL_CTX_add_custom_ext", "int", [P, "uint", "uint", P, P, P, P, P]);
const SSL_CTX_get_cert_store = bind<(ctx: Pointer) => Pointer>("SSL_CTX_get_cert_store", P, [P]);

const SSL_new = bind<(ctx: Pointer) => Pointer | null>("SSL_new", P, [P]);
const SSL_free = bind<(ssl: Pointer) => void>("SSL_free", "void", [P]);
const SSL_ctrl = bind<(ssl: Pointer, command: number, value: number, pointer: Pointer | null) => number>(
  "SSL_ctrl",
  "long",
  [P, "int", "long", P],
);
const SSL_clear_options = bind<(ssl: Pointer, options: number) => number>("SSL_clear_options", "uint64", [
  P,
  "uint64",
]);
const SSL_set_bio = bind<(ssl: Pointer, read: Pointer, write: Pointer) => void>("SSL_set_bio", "void", [
  P,
  P,
  P,
]);
const SSL_set_accept_state = bind<(ssl: Pointer) => void>("SSL_set_accept_state", "void", [P]);
const SSL_set_connect_state = bind<(ssl: Pointer) => void>("SSL_set_connect_state", "void", [P]);
const SSL_use_certificate_ASN1 = bind<(ssl: Pointer, der: Bytes, length: number) => number>(
  "SSL_use_certificate_ASN1",
  "int",
  [P, P, "int"],
);
const SSL_use_PrivateKey = bind<(ssl: Pointer, key: Pointer) => number>("SSL_use_PrivateKey", "int", [P, P]);
const SSL_do_handshake = bind<(ssl: Pointer) => number>("SSL_do_handshake", "int", [P]);
const SSL_is_init_finished = bind<(ssl: Pointer) => number>("SSL_is_init_finished", "int", [P]);
const SSL_read = bind<(ssl: Pointer, into: Bytes, length: number) => number>("SSL_read", "int", [
  P,
  P,
  "int",
]);
const SSL_write = bind<(ssl: Pointer, from: Bytes, length: number) => number>("SSL_write", "int", [
  P,
  P,
  "int",
]);
const SSL_shutdown = bind<(ssl: Pointer) => number>("SSL_shutdown", "int", [P]);
const SSL_get_error = bind<(ssl: Pointer, result: number) => number>("SSL_get_error", "int", [P, "int"]);
const SSL_get_session = bind<(ssl: Pointer) => Pointer | null>("SSL_get_session", P, [P]);
const SSL_SESSION_get_master_key = bind<(session: Pointer, into: Bytes, length: number) => number>(
  "SSL_SESSION_get_master_key",
  "size_t",
  [P, P, "size_t"],
);
const SSL_get_client_random = bind<(ssl: Pointer, into: Bytes, length: number) => number>(
  "SSL_get_client_random",
  "size_t",
  [P, P, "size_t"],
);
const SSL_get_server_random = bind<(ssl: Pointer, into: Bytes, length: number) => number>(
  "SSL_get_server_random",
  "size_t",
  [P, P, "size_t"],
);
const SSL_get_current_cipher = bind<(ssl: Pointer) => Pointer | null>("SSL_get_current_cipher", P, [P]);
const SSL_get_pending_cipher = bind<(ssl: Pointer) => Pointer | null>("SSL_get_pending_cipher", P, [P]);
const SSL_CIPHER_get_protocol_id = bind<(cipher: Pointer) => number>("SSL_CIPHER_get_protocol_id", "uint16", [
  P,
]);
const SSL_get_verify_result = bind<(ssl: Pointer) => number>("SSL_get_verify_result", "long", [P]);
const SSL_get0_param = bind<(ssl: Pointer) => Pointer>("SSL_get0_param", P, [P]);
const DTLSv1_listen = bind<(ssl: Pointer, client: Pointer) => number>("DTLSv1_listen", "int", [P, P]);

const d2i_X509 = bind<(into: null, from: Bytes, length: number) => Pointer | null>("d2i_X509", P, [
  P,
  P,
  "long",
]);
const i2d_X509 = bind<(certificate: Pointer, into: Bytes | null) => number>("i2d_X509", "int", [P, P]);
const X509_free = bind<(certificate: Pointer) => void>("X509_free", "void", [P]);
const d2i_AutoPrivateKey = bind<(into: null, from: Bytes, length: number) => Pointer | null>(
  "d2i_AutoPrivateKey",
  P,
  [P, P, "long"],
);
const EVP_PKEY_free = bind<(key: Pointer) => void>("EVP_PKEY_free", "void", [P]);
const X509_STORE_add_cert = bind<(store: Pointer, certificate: Pointer) => number>(
  "X509_STORE_add_cert",
  "int",
  [P, P],
);
const X509_STORE_set_flags = bind<(store: Pointer, flags: number) => number>("X509_STORE_set_flags", "int", [
  P,
  "ulong",
]);
const X509_STORE_CTX_get0_untrusted = bind<(context: Pointer) => Pointer | null>(
  "X509_STORE_CTX_get0_untrusted",
  P,
  [P],
);
const X509_STORE_CTX_set_error = bind<(context: Pointer, error: number) => void>(
  "X509_STORE_CTX_set_error",
  "void",
  [P, "int"],
);
const X509_VERIFY_PARAM_set_time = bind<(param: Pointer, seconds: number) => void>(
  "X509_VERIFY_PARAM_set_time",
  "void",
  [P, "int64"],
);
const X509_verify_cert_error_string = bind<(code: number) => string>("X509_verify_cert_error_string", "str", [
  "long",
]);
const OPENSSL_sk_num = bind<(stack: Pointer) => number>("OPENSSL_sk_num", "int", [P]);
const OPENSSL_sk_value = bind<(stack: Pointer, index: number) => Pointer>("OPENSSL_sk_value", P, [P, "int"]);

// Values from the public headers of OpenSSL 3.0 to 3.5; they are part of its ABI.
const BIO_CTRL_RESET = 1;
const BIO_CTRL_PENDING = 10;
const BIO_C_SET_BUF_MEM_EOF_RETURN = 130;
const SSL_CTRL_EXTRA_CHAIN_CERT = 14;
const SSL_CTRL_SET_MTU = 17;
const SSL_CTRL_MODE = 33;
const SSL_CTRL_SET_SESS_CACHE_MODE = 44;
const SSL_CTRL_SET_MAX_CERT_LIST = 50;
const DTLS_CTRL_HANDLE_TIMEOUT = 74;
const SSL_CTRL_CHAIN_CERT = 89;
const SSL_CTRL_SET_GROUPS_LIST = 92;
const SSL_CTRL_SET_MIN_PROTO_VERSION = 123;
const SSL_CTRL_SET_MAX_PROTO_VERSION = 124;
const SSL_SESS_CACHE_OFF = 0;
const SSL_MODE_NO_AUTO_CHAIN = 0x08;
const SSL_MODE_RELEASE_BUFFERS = 0x10;
const SSL_MODE_SEND_SERVERHELLO_TIME = 0x40;
const SSL_OP_ALLOW_CLIENT_RENEGOTIATION = 2 ** 8;
const SSL_OP_NO_QUERY_MTU = 2 ** 12;
const SSL_OP_COOKIE_EXCHANGE = 2 ** 13;
const SSL_OP_NO_TICKET = 2 ** 14;
const SSL_OP_NO_COMPRESSION = 2 ** 17;
const SSL_OP_CIPHER_SERVER_PREFERENCE = 2 ** 22;
const SSL_OP_IGNORE_UNEXPECTED_EOF = 2 ** 7;
const SSL_VERIFY_PEER = 1;
const SSL_VERIFY_FAIL_IF_NO_PEER_CERT = 2;
const SSL_ERROR_SSL = 1;
const SSL_ERROR_SYSCALL = 5;
const SSL_ERROR_ZERO_RETURN = 6;
const SSL_EXT_DTLS_ONLY = 0x02;
const SSL_EXT_CLIENT_HELLO = 0x80;
const SSL_EXT_TLS1_2_SERVER_HELLO = 0x100;
const SSL_TLSEXT_ERR_OK = 0;
const SSL_TLSEXT_ERR_NOACK = 3;
const SSL_AD_DECODE_ERROR = 50;
const SSL_AD_REASON_OFFSET = 1000;
const ERR_REASON_MASK = 0x7fffff;
const TLS1_2_VERSION = 0x0303;
const DTLS1_2_VERSION = 0xfefd;
const X509_V_FLAG_PARTIAL_CHAIN = 0x80000;
/**
 * The connection_id extension [RFC9146 §3], and the number that Mbed TLS gave it before there was one. A hello with both
 * is read in this order.
 */
const CONNECTION_ID: Readonly<Record<CidForm, number>> = { rfc9146: 54, draft: 254 };

/** The X509_V_ERR_ values that make OpenSSL send the alert we mean. */
export const VerifyError = {
  unknownCa: 20,
  expired: 10,
  revoked: 23,
  rejected: 28,
} as const;

/** Reasons of SSL errors that are worth words of their own. */
export const Reason = {
  badSignature: 123,
  certificateVerifyFailed: 134,
  httpRequest: 156,
  noSharedCipher: 193,
  peerSentNoCertificate: 199,
  unexpectedMessage: 244,
  unsupportedProtocol: 258,
  wrongVersionNumber: 267,
  badRecordMac: 281,
  noSharedGroups: 410,
} as const;

/** Suites in order of preference; CCM_8 has a 64-bit tag, which OpenSSL only allows at security level 0. */
export const DEFAULT_CIPHERS =
  "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES128-CCM:ECDHE-ECDSA-AES128-CCM8:@SECLEVEL=0";
const TLS13_CIPHERS =
  "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_AES_128_CCM_SHA256:TLS_AES_128_CCM_8_SHA256";
const GROUPS = "P-256:X25519";
/** A chain longer than this is refused before it is parsed. */
const MAX_CHAIN_BYTES = 32_768;
/** Application data of one TLS record [RFC5246 §6.2.1]. */
export const MAX_RECORD_DATA = 16_384;
/** Fits IPv6's minimum MTU of 1280 with its and UDP's headers. */
export const DATAGRAM_BYTES = 1232;

/** What the callbacks ask of whoever's handshake is being driven. */
export interface HandshakeParty {
  /** 0 accepts the chain, else a value of `VerifyError`. */
  onverify?(chain: Buffer[]): number;
  /** The peer's connection_id extension; it wants our records to carry this. */
  oncid?(cid: Buffer, form: CidForm): void;
  /** What our own connection_id extension says; null leaves it out. */
  ourCid?: Uint8Array | null;
  /** Which of the extensions is ours. */
  cids?: { readonly form: CidForm };
}

/** An error OpenSSL ended a connection with. */
export interface SslFault {
  /** One of `Reason`, or another reason code of OpenSSL. */
  reason: number;
  /** The alert the peer sent, when that was it. */
  alertReceived: number | null;
  /** OpenSSL's own words. */
  text: string;
}

// All work is synchronous and each step empties both, so one pair of memory BIOs serves every connection.
const readBio = memoryBio();
const writeBio = memoryBio();
const scratch = Buffer.allocUnsafeSlow(1 << 18);
const anyAddress = BIO_ADDR_new();
const native = koffi.alloc("uint8_t", MAX_CHAIN_BYTES + 1024) as Pointer;
const nativeBytes = Buffer.from(koffi.view(native, MAX_CHAIN_BYTES + 1024));
const pointerCell = Buffer.alloc(8);
let current: HandshakeParty | null = null;
let live = 0;

/** SSL objects and contexts not freed yet. */
export function liveHandles(): number {
  return live;
}

function memoryBio(): Pointer {
  const bio = BIO_new(BIO_s_mem());
  if (!bio) throw new Error("OpenSSL has no memory left");
  BIO_ctrl(bio, BIO_C_SET_BUF_MEM_EOF_RETURN, -1, null);
  return bio;
}

/** An exception in a callback would reach C as 0, so each callback says itself what failing means. */
function guarded<A extends unknown[]>(failure: number, run: (...args: A) => number): (...args: A) => number {
  return (...args) => {
    try {
      return run(...args);
    } catch {
      return failure;
    }
  };
}

const onVerify = koffi.register(
  guarded(0, (context: Pointer) => {
    const stack = X509_STORE_CTX_get0_untrusted(context);
    const chain: Buffer[] = [];
    let left = MAX_CHAIN_BYTES;
    for (let index = 0; stack && index < OPENSSL_sk_num(stack); index++) {
      const certificate = OPENSSL_sk_value(stack, index);
      // A re-encoding may be longer than what was received, and the buffer below is ours to guard.
      const size = i2d_X509(certificate, null);
      if (size <= 0 || size > left) {
        X509_STORE_CTX_set_error(context, VerifyError.rejected);
        return 0;
      }
      left -= size;
      pointerCell.writeBigUInt64LE(BigInt(native));
      i2d_X509(certificate, pointerCell);
      chain.push(Buffer.from(nativeBytes.subarray(0, size)));
    }
    let error: number = VerifyError.rejected;
    try {
      error = current?.onverify?.(chain) ?? VerifyError.rejected;
    } finally {
      X509_STORE_CTX_set_error(context, error);
    }
    return error === 0 ? 1 : 0;
  }),
  koffi.pointer(koffi.proto("int GangwayVerify(void *context, void *argument)")),
) as Pointer;

// The cookie was checked before OpenSSL saw the ClientHello.
const onCookie = koffi.register(
  () => 1,
  koffi.pointer(koffi.proto("int GangwayCookie(void *ssl, void *cookie, unsigned int length)")),
) as Pointer;

const ALPN_COAP = Buffer.from("\x04coap", "latin1");
const alpnChoice = koffi.alloc("uint8_t", 4) as Pointer;
Buffer.from(koffi.view(alpnChoice, 4)).write("coap", "latin1");

const onAlpn = koffi.register(
  guarded(
    SSL_TLSEXT_ERR_NOACK,
    (_ssl: Pointer, out: Pointer, outLength: Pointer, offered: Pointer, length: number) => {
      const list = Buffer.from(koffi.view(offered, length));
      for (let at = 0; at < list.length; at += 1 + (list[at] ?? 0)) {
        if (list.subarray(at, at + ALPN_COAP.length).equals(ALPN_COAP)) {
          koffi.encode(out, P, alpnChoice);
          koffi.encode(outLength, "uint8_t", 4);
          return SSL_TLSEXT_ERR_OK;
        }
      }
      return SSL_TLSEXT_ERR_NOACK;
    },
  ),
  koffi.pointer(
    koffi.proto(
      "int GangwayAlpn(void *ssl, void *out, void *outlen, void *in, unsigned int inlen, void *argument)",
    ),
  ),
) as Pointer;

const onAddExtension = koffi.register(
  guarded(0, (_ssl: Pointer, type: number, _context: number, out: Pointer, outLength: Pointer) => {
    const cid = current?.ourCid;
    if (!cid || type !== CONNECTION_ID[current?.cids?.form ?? "rfc9146"]) return 0;
    nativeBytes[0] = cid.length;
    nativeBytes.set(cid, 1);
    koffi.encode(out, P, native);
    koffi.encode(outLength, "size_t", cid.length + 1);
    return 1;
  }),
  koffi.pointer(
    koffi.proto(
      "int GangwayAddExt(void *ssl, unsigned int type, unsigned int context, void *out, void *outlen, void *x, size_t chainidx, void *al, void *argument)",
    ),
  ),
) as Pointer;

const onParseExtension = koffi.register(
  guarded(
    0,
    (_ssl: Pointer, type: number, _context: number, input: Pointer | null, length: number, _x, _i, alert) => {
      const bytes =
        input && length > 0 ? Buffer.from(Buffer.from(koffi.view(input, length))) : Buffer.alloc(0);
      if (bytes.length === 0 || bytes[0] !== bytes.length - 1) {
        koffi.encode(alert as Pointer, "int", SSL_AD_DECODE_ERROR);
        return 0;
      }
      current?.oncid?.(bytes.subarray(1), type === CONNECTION_ID.draft ? "draft" : "rfc9146");
      return 1;
    },
  ),
  koffi.pointer(
    koffi.proto(
      "int GangwayParseExt(void *ssl, unsigned int type, unsigned int context, void *in, size_t inlen, void *x, size_t chainidx, void *al, void *argument)",
    ),
  ),
) as Pointer;

function takeFault(): SslFault {
  const code = Number(ERR_get_error());
  const reason = code & ERR_REASON_MASK;
  const fault: SslFault = {
    reason,
    alertReceived:
      reason > SSL_AD_REASON_OFFSET && reason < SSL_AD_REASON_OFFSET + 256
        ? reason - SSL_AD_REASON_OFFSET
        : null,
    text:
      code === 0 ? "the connection broke off" : (ERR_reason_error_string(code) ?? `OpenSSL error ${reason}`),
  };
  ERR_clear_error();
  return fault;
}

function check(ok: unknown, doing: string): asserts ok {
  if (!ok) throw new Error(`OpenSSL could not ${doing}: ${takeFault().text}`);
}

/** Runs one of the `d2i_` parsers, which want the address of a pointer into memory that stays put. */
function parseDer(
  parse: (into: null, from: Bytes, length: number) => Pointer | null,
  der: Bytes,
  what: string,
): Pointer {
  if (der.length > nativeBytes.length) throw new Error(`the ${what} is too long`);
  nativeBytes.set(der);
  pointerCell.writeBigUInt64LE(BigInt(native));
  const parsed = parse(null, pointerCell, der.length);
  check(parsed, `read the ${what}`);
  return parsed;
}

export interface ContextOptions {
  kind: keyof typeof methods;
  ciphers?: string | undefined;
  /** Of a server; a client gives its own to each connection. */
  credentials?: ServerCredentials;
  /** What a client trusts. */
  anchors?: readonly Uint8Array[];
  /** Takes part in the connection_id negotiation. */
  cid?: boolean;
}

/** An SSL_CTX: the configuration that connections share. */
export class SslContext {
  #pointer: Pointer | null;

  constructor(options: ContextOptions) {
    ERR_clear_error();
    const ctx = SSL_CTX_new(methods[options.kind]());
    check(ctx, "make a context");
    this.#pointer = ctx;
    live++;
    try {
      this.#configure(ctx, options);
    } catch (error) {
      this.free();
      throw error;
    }
  }

  #configure(
    ctx: Pointer,
    { kind, ciphers = DEFAULT_CIPHERS, credentials, anchors, cid }: ContextOptions,
  ): void {
    const dtls = kind.startsWith("dtls");
    SSL_CTX_set_options(
      ctx,
      SSL_OP_NO_QUERY_MTU +
        SSL_OP_NO_TICKET +
        SSL_OP_NO_COMPRESSION +
        SSL_OP_CIPHER_SERVER_PREFERENCE +
        SSL_OP_ALLOW_CLIENT_RENEGOTIATION +
        SSL_OP_IGNORE_UNEXPECTED_EOF,
    );
    // Devices without a clock read the time from ServerHello.random [RFC5246 §7.4.1.2].
    SSL_CTX_ctrl(
      ctx,
      SSL_CTRL_MODE,
      SSL_MODE_NO_AUTO_CHAIN | SSL_MODE_RELEASE_BUFFERS | SSL_MODE_SEND_SERVERHELLO_TIME,
      null,
    );
    SSL_CTX_ctrl(ctx, SSL_CTRL_SET_SESS_CACHE_MODE, SSL_SESS_CACHE_OFF, null);
    SSL_CTX_ctrl(ctx, SSL_CTRL_SET_MAX_CERT_LIST, MAX_CHAIN_BYTES, null);
    check(
      SSL_CTX_ctrl(ctx, SSL_CTRL_SET_MIN_PROTO_VERSION, dtls ? DTLS1_2_VERSION : TLS1_2_VERSION, null),
      "set the version",
    );
    check(SSL_CTX_ctrl(ctx, SSL_CTRL_SET_GROUPS_LIST, 0, Buffer.from(`${GROUPS}\0`)), "set the groups");
    check(SSL_CTX_set_cipher_list(ctx, ciphers), `use the cipher list ${ciphers}`);
    if (!dtls) {
      check(SSL_CTX_set_ciphersuites(ctx, TLS13_CIPHERS), "set the TLS 1.3 suites");
      SSL_CTX_set_num_tickets(ctx, 0);
    }
    if (cid) {
      const context = SSL_EXT_DTLS_ONLY | SSL_EXT_CLIENT_HELLO | SSL_EXT_TLS1_2_SERVER_HELLO;
      for (const type of Object.values(CONNECTION_ID)) {
        const added = SSL_CTX_add_custom_ext(
          ctx,
          type,
          context,
          onAddExtension,
          null,
          null,
          onParseExtension,
          null,
        );
        check(added, "add the connection_id extension");
      }
    }
    if (kind.endsWith("server")) {
      SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, null);
      SSL_CTX_set_cert_verify_callback(ctx, onVerify, null);
      if (dtls) SSL_CTX_set_cookie_verify_cb(ctx, onCookie);
      else SSL_CTX_set_alpn_select_cb(ctx, onAlpn, null);
    } else {
      SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, null);
      if (!dtls) SSL_CTX_set_alpn_protos(ctx, ALPN_COAP, ALPN_COAP.length);
    }
    if (credentials) {
      const [leaf, ...rest] = credentials.chain;
      if (!leaf) throw new Error("the server's certificate chain is empty");
      check(SSL_CTX_use_certificate_ASN1(ctx, leaf.length, leaf), "use the server's certificate");
      for (const der of rest) {
        // Becomes the context's own.
        SSL_CTX_ctrl(ctx, SSL_CTRL_EXTRA_CHAIN_CERT, 0, parseDer(d2i_X509, der, "certificate"));
      }
      withPrivateKey(credentials.privateKey, (key) =>
        check(SSL_CTX_use_PrivateKey(ctx, key), "use the server's private key"),
      );
    }
    if (anchors) {
      const store = SSL_CTX_get_cert_store(ctx);
      // A server's own certificate may be the anchor.
      X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN);
      for (const der of anchors) {
        const certificate = parseDer(d2i_X509, der, "certificate");
        X509_STORE_add_cert(store, certificate);
        X509_free(certificate);
      }
      ERR_clear_error();
    }
  }

  /** A connection of this configuration; a server's side accepts, a client's side connects. */
  connection(party: HandshakeParty, server: boolean): Ssl {
    if (this.#pointer === null) throw new Error("the context is closed");
    const ssl = SSL_new(this.#pointer);
    check(ssl, "make a connection");
    live++;
    return new Ssl(ssl, party, server);
  }

  /** Gives the context back; connections made from it live on. */
  free(): void {
    if (this.#pointer === null) return;
    SSL_CTX_free(this.#pointer);
    this.#pointer = null;
    live--;
  }
}

function withPrivateKey(der: Bytes, use: (key: Pointer) => void): void {
  const key = parseDer(d2i_AutoPrivateKey, der, "private key");
  try {
    use(key);
  } finally {
    nativeBytes.fill(0, 0, der.length);
    EVP_PKEY_free(key);
  }
}

/** What the keys of a session are derived from [RFC5246 §6.3]. */
export interface SessionSecrets {
  suite: number;
  master: Buffer;
  clientRandom: Buffer;
  serverRandom: Buffer;
}

/** One connection: bytes from the network go in, messages and bytes for the network come out. */
export class Ssl {
  #pointer: Pointer | null;
  readonly #party: HandshakeParty;
  #established = false;
  /** Set once the connection has failed; nothing more can be done with it but `takeOutput` and `free`. */
  fault: SslFault | null = null;
  /** True once the peer has said close_notify. */
  ended = false;

  constructor(pointer: Pointer, party: HandshakeParty, server: boolean) {
    this.#pointer = pointer;
    this.#party = party;
    BIO_up_ref(readBio);
    BIO_up_ref(writeBio);
    SSL_set_bio(pointer, readBio, writeBio);
    if (server) SSL_set_accept_state(pointer);
    else SSL_set_connect_state(pointer);
  }

  get #ssl(): Pointer {
    if (this.#pointer === null) throw new Error("the connection is freed");
    return this.#pointer;
  }

  /** True once the first handshake is complete. */
  get established(): boolean {
    return this.#established;
  }

  /** True while a renegotiation is under way. */
  get renegotiating(): boolean {
    return this.#established && SSL_is_init_finished(this.#ssl) === 0;
  }

  /** The bound for what goes into one datagram. */
  setMtu(bytes: number): void {
    SSL_ctrl(this.#ssl, SSL_CTRL_SET_MTU, bytes, null);
  }

  /** Does not negotiate TLS 1.3; before the handshake begins. */
  limitToTls12(): void {
    SSL_ctrl(this.#ssl, SSL_CTRL_SET_MAX_PROTO_VERSION, TLS1_2_VERSION, null);
  }

  /** A client's own certificate and key, and the time it judges the server's certificate at. */
  setClient(credentials: ServerCredentials | undefined, seconds: number): void {
    const ssl = this.#ssl;
    X509_VERIFY_PARAM_set_time(SSL_get0_param(ssl), seconds);
    const [leaf, ...rest] = credentials?.chain ?? [];
    if (!leaf || !credentials) return;
    check(SSL_use_certificate_ASN1(ssl, leaf, leaf.length), "use the client's certificate");
    for (const der of rest) {
      const certificate = parseDer(d2i_X509, der, "certificate");
      SSL_ctrl(ssl, SSL_CTRL_CHAIN_CERT, 1, certificate);
      X509_free(certificate);
    }
    withPrivateKey(credentials.privateKey, (key) =>
      check(SSL_use_PrivateKey(ssl, key), "use the client's private key"),
    );
  }

  /**
   * Starts a DTLS server connection with a ClientHello whose cookie has been verified; false when OpenSSL finds it
   * malformed.
   */
  acceptHello(datagram: Bytes): boolean {
    return this.#run(() => {
      const ssl = this.#ssl;
      BIO_write(readBio, datagram, datagram.length);
      const result = DTLSv1_listen(ssl, anyAddress);
      // Left set it asks for a cookie again in a renegotiation, whose ServerKeyExchange is then signed over the old random.
      SSL_clear_options(ssl, SSL_OP_COOKIE_EXCHANGE);
      if (result !== 1) {
        this.fault = takeFault();
        return false;
      }
      this.#shake(ssl);
      return true;
    });
  }

  /** Takes bytes from the network, goes on with the handshake and returns the messages that came out. */
  receive(input: Bytes | null): Buffer[] {
    return this.#run(() => {
      const ssl = this.#ssl;
      const messages: Buffer[] = [];
      if (this.fault) return messages;
      if (input) BIO_write(readBio, input, input.length);
      if (!this.#established) {
        this.#shake(ssl);
        if (!this.#established || BIO_ctrl(readBio, BIO_CTRL_PENDING, 0, null) === 0) return messages;
      }
      for (;;) {
        const length = SSL_read(ssl, scratch, MAX_RECORD_DATA);
        if (length > 0) {
          messages.push(Buffer.from(scratch.subarray(0, length)));
          continue;
        }
        this.#note(SSL_get_error(ssl, length));
        return messages;
      }
    });
  }

  /** Sends one record; false when the connection cannot write now because it renegotiates, or has failed. */
  send(message: Bytes): boolean {
    return this.#run(() => {
      if (this.fault) return false;
      const result = SSL_write(this.#ssl, message, message.length);
      if (result <= 0) this.#note(SSL_get_error(this.#ssl, result));
      return result > 0;
    });
  }

  /** Says close_notify. */
  shutdown(): void {
    if (this.fault || !this.#established) return;
    this.#run(() => SSL_shutdown(this.#ssl));
    ERR_clear_error();
  }

  /** Sends the last flight again when OpenSSL's own timer has run out. */
  handleTimeout(): void {
    this.#run(() => {
      if (SSL_ctrl(this.#ssl, DTLS_CTRL_HANDLE_TIMEOUT, 0, null) < 0) this.fault ??= takeFault();
    });
  }

  #output: Buffer | null = null;

  /** What is to be sent to the peer since the last call: whole records, one after the other. */
  takeOutput(): Buffer | null {
    const output = this.#output;
    this.#output = null;
    return output;
  }

  /** The secrets of the newest handshake; null before its key exchange. */
  secrets(): SessionSecrets | null {
    const ssl = this.#ssl;
    const session = SSL_get_session(ssl);
    const cipher = SSL_get_current_cipher(ssl) ?? SSL_get_pending_cipher(ssl);
    if (!session || !cipher) return null;
    const bytes = Buffer.allocUnsafe(112);
    const master = bytes.subarray(0, 48);
    if (SSL_SESSION_get_master_key(session, master, 48) !== 48) return null;
    SSL_get_client_random(ssl, bytes.subarray(48, 80), 32);
    SSL_get_server_random(ssl, bytes.subarray(80, 112), 32);
    return {
      suite: SSL_CIPHER_get_protocol_id(cipher),
      master,
      clientRandom: bytes.subarray(48, 80),
      serverRandom: bytes.subarray(80, 112),
    };
  }

  /** Why the server's certificate was refused, or null. */
  get verifyProblem(): string | null {
    const code = SSL_get_verify_result(this.#ssl);
    return code === 0 ? null : X509_verify_cert_error_string(code);
  }

  free(): void {
    if (this.#pointer === null) return;
    SSL_free(this.#pointer);
    this.#pointer = null;
    live--;
  }

  #shake(ssl: Pointer): void {
    const result = SSL_do_handshake(ssl);
    if (result === 1) this.#established = true;
    else this.#note(SSL_get_error(ssl, result));
  }

  #note(error: number): void {
    if (error === SSL_ERROR_SSL || error === SSL_ERROR_SYSCALL) this.fault ??= takeFault();
    else if (error === SSL_ERROR_ZERO_RETURN) this.ended = true;
  }

  /** Runs one step with the shared BIOs empty before and after, and keeps what it wrote. */
  #run<T>(step: () => T): T {
    const outer = current;
    if (outer) throw new Error("OpenSSL is already at work");
    current = this.#party;
    ERR_clear_error();
    try {
      return step();
    } finally {
      current = null;
      if (this.fault || this.ended) BIO_ctrl(readBio, BIO_CTRL_RESET, 0, null);
      const length = BIO_read(writeBio, scratch, scratch.length);
      if (length > 0) {
        const output = Buffer.from(scratch.subarray(0, length));
        this.#output = this.#output ? Buffer.concat([this.#output, output]) : output;
      }
    }
  }
}
