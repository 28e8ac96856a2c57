import { randomBytes } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { TLSSocket } from "node:tls";

/**
 * Makes the forwarded headers say what this server knows. next-auth builds its URLs from them and Next compares
 * them with a server action's Origin, so a client must not be able to choose them.
 */
export function normalizeForwarded(req: IncomingMessage, trustProxy: boolean): void {
  const given = (name: string) => {
    const value = req.headers[name];
    return trustProxy && typeof value === "string" ? value.split(",")[0]?.trim() : undefined;
  };
  const host = given("x-forwarded-host") ?? req.headers.host ?? "localhost";
  const proto = given("x-forwarded-proto") ?? ((req.socket as TLSSocket).encrypted ? "https" : "http");
  const address = given("x-forwarded-for") ?? req.socket.remoteAddress ?? "";
  for (const name of Object.keys(req.headers)) {
    if (name === "forwarded" || name.startsWith("x-forwarded-")) delete req.headers[name];
  }
  req.headers["x-forwarded-host"] = host;
  req.headers["x-forwarded-proto"] = proto === "https" ? "https" : "http";
  req.headers["x-forwarded-for"] = address;
}

/** Sets the response headers that every answer carries, and the nonce that Next puts on its scripts. */
export function secure(req: IncomingMessage, res: ServerResponse, dev: boolean): void {
  const nonce = randomBytes(16).toString("base64");
  const policy = [
    "default-src 'self'",
    // React reconstructs server stacks with eval in development only.
    `script-src 'self' 'nonce-${nonce}'${dev ? " 'unsafe-eval'" : ""}`,
    // Positioned elements carry style attributes, and a nonce does not cover those.
    "style-src 'self' 'unsafe-inline'",
    "img-src 'self' data: blob:",
    "connect-src 'self'",
    "object-src 'none'",
    "base-uri 'none'",
    "form-action 'self'",
    "frame-ancestors 'none'",
  ].join("; ");
  // Next reads the nonce off the request's own policy header.
  req.headers["content-security-policy"] = policy;
  req.headers["x-nonce"] = nonce;
  // Where to go on after signing in.
  req.headers["x-path"] = req.url ?? "/";
  res.setHeader("Content-Security-Policy", policy);
  res.setHeader("X-Content-Type-Options", "nosniff");
  res.setHeader("X-Frame-Options", "DENY");
  // The set-up link carries its token in the address.
  res.setHeader("Referrer-Policy", "same-origin");
  res.setHeader("Cross-Origin-Opener-Policy", "same-origin");
  res.setHeader("Cross-Origin-Resource-Policy", "same-origin");
  res.setHeader("Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()");
}
