import { IncomingMessage, ServerResponse } from "node:http";
import { Socket } from "node:net";
import { describe, expect, it } from "vitest";
import { normalizeForwarded, secure } from "@/server/portal/headers";

function request(headers: Record<string, string>, encrypted = false): IncomingMessage {
  const socket = Object.assign(new Socket(), { encrypted });
  const req = new IncomingMessage(socket);
  req.headers = headers;
  req.url = "/devices?state=registered";
  return req;
}

describe("forwarded headers", () => {
  const forged = {
    host: "gw.example:3000",
    forwarded: "host=evil.example",
    "x-forwarded-host": "evil.example",
    "x-forwarded-proto": "https",
    "x-forwarded-port": "1",
  };

  it("say what the server knows, whatever the client claims", () => {
    const req = request({ ...forged });
    normalizeForwarded(req, false);
    expect(req.headers).toMatchObject({ "x-forwarded-host": "gw.example:3000", "x-forwarded-proto": "http" });
    expect(req.headers).not.toHaveProperty("forwarded");
    expect(req.headers).not.toHaveProperty("x-forwarded-port");
    const secured = request({ host: "gw.example:3443" }, true);
    normalizeForwarded(secured, false);
    expect(secured.headers["x-forwarded-proto"]).toBe("https");
  });

  it("are believed of a proxy that was declared, and only its first entry", () => {
    const req = request({
      host: "inside:3000",
      "x-forwarded-host": "gw.example, other",
      "x-forwarded-proto": "https",
    });
    normalizeForwarded(req, true);
    expect(req.headers).toMatchObject({ "x-forwarded-host": "gw.example", "x-forwarded-proto": "https" });
  });
});

describe("the content policy", () => {
  it("has a new nonce for every request and no eval in production", () => {
    const policies = [false, false, true].map((dev) => {
      const req = request({});
      const res = new ServerResponse(req);
      secure(req, res, dev);
      expect(req.headers["content-security-policy"]).toBe(res.getHeader("Content-Security-Policy"));
      expect(req.headers["x-path"]).toBe("/devices?state=registered");
      return String(res.getHeader("Content-Security-Policy"));
    });
    expect(new Set(policies).size).toBe(3);
    expect(policies[0]).not.toContain("unsafe-eval");
    expect(policies[2]).toContain("unsafe-eval");
  });
});
