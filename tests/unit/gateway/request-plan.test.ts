import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { CoapFailure } from "@/server/coap";
import {
  type ApplicationRequest,
  endingOf,
  planRequest,
  readUri,
  refusalOf,
  statusOf,
} from "@/server/gateway/request-plan";

const TLV = 11542;

function plan(method: ApplicationRequest["method"], uri: string, more: Partial<ApplicationRequest> = {}) {
  const payload = more.payload ?? new Uint8Array();
  const planned = planRequest({ method, uri, accept: null, contentType: null, ...more, payload });
  if (!planned) return null;
  const { operation, path, request } = planned;
  return { operation, path, ...request };
}

const bytes = (text: string) => new Uint8Array(Buffer.from(text));

describe("the path and query of a uri", () => {
  it("are read as applications write them", () => {
    expect(readUri("/5/0/1?pmax=120&pmin=5")).toEqual({ path: "/5/0/1", query: ["pmax=120", "pmin=5"] });
    expect(readUri("3//0/0/")).toEqual({ path: "/3/0/0", query: [] });
    expect(readUri("/3/0/0?a=%C3%A4&b=%zz")).toEqual({ path: "/3/0/0", query: ["a=ä", "b=%zz"] });
    for (const none of ["", "/", "?x", "/device", "/3/x", "/1/2/3/4/5", "/70000", "/3/65535"])
      expect(readUri(none), none).toBeNull();
  });

  it("are read whatever is written", () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        const read = readUri(text);
        if (read) expect(read.path).toMatch(/^(\/\d{1,5}){1,4}$/);
      }),
    );
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 65_534 }), { minLength: 1, maxLength: 4 }), (ids) => {
        expect(readUri(`/${ids.join("/")}`)?.path).toBe(`/${ids.join("/")}`);
      }),
    );
  });
});

describe("a request of an application as the device gets it", () => {
  it("reads a resource in the format that the device prefers, and everything else in TLV", () => {
    expect(plan("GET", "/3/0/0")).toEqual({ operation: "read", path: "/3/0/0", method: "GET" });
    expect(plan("GET", "/3/0/6/1")).toEqual({ operation: "read", path: "/3/0/6/1", method: "GET" });
    for (const uri of ["/3", "/3/0", "/3/0/6"]) expect(plan("GET", uri)).toMatchObject({ accept: TLV });
    expect(plan("GET", "/3/0", { accept: "application/senml+json" })).toMatchObject({ accept: 110 });
    expect(plan("GET", "/3/0/0", { accept: "*/*" })).not.toHaveProperty("accept");
  });

  it("writes resources as text and the rest as TLV, if the application does not say", () => {
    const payload = bytes("+02");
    expect(plan("PUT", "/3/0/14", { payload })).toEqual({
      operation: "write",
      path: "/3/0/14",
      method: "PUT",
      contentFormat: 0,
      payload,
    });
    expect(plan("PUT", "/3/0/14")).toMatchObject({ operation: "write", contentFormat: 0 });
    expect(plan("PUT", "/3303/0", { payload })).toMatchObject({ operation: "write", contentFormat: TLV });
    expect(plan("PUT", "/5/0/0", { payload, contentType: "application/octet-stream" })).toMatchObject({
      contentFormat: 42,
    });
  });

  it("sets attributes with a PUT of nothing but a query", () => {
    expect(plan("PUT", "/5/0/1?pmax=120", { contentType: "text/plain" })).toEqual({
      operation: "configure",
      path: "/5/0/1",
      method: "PUT",
      query: ["pmax=120"],
    });
    expect(plan("PUT", "/5/0/1?x=1", { payload: bytes("coap://a") })).toMatchObject({
      operation: "write",
      query: ["x=1"],
    });
  });

  it("executes, creates and deletes", () => {
    expect(plan("POST", "/3/0/4")).toEqual({ operation: "execute", path: "/3/0/4", method: "POST" });
    expect(plan("POST", "/3/0/4", { payload: bytes("0='5'") })).toMatchObject({
      operation: "execute",
      contentFormat: 0,
    });
    expect(plan("POST", "/3303", { payload: bytes("x") })).toMatchObject({
      operation: "create",
      contentFormat: TLV,
    });
    expect(plan("POST", "/3303/0", { payload: bytes("x") })).toMatchObject({ operation: "write" });
    expect(plan("DELETE", "/3303/0")).toEqual({ operation: "delete", path: "/3303/0", method: "DELETE" });
  });

  it("is none with a media type that is not known", () => {
    expect(plan("GET", "/3/0/0", { accept: "text/html" })).toBeNull();
    expect(plan("PUT", "/3/0/14", { contentType: "image/png" })).toBeNull();
  });
});

describe("what an application is told", () => {
  it("is a status of HTTP for each code", () => {
    const statuses = {
      "2.01": 200,
      "2.02": 200,
      "2.04": 200,
      "2.05": 200,
      "4.00": 400,
      "4.01": 400,
      "4.02": 400,
      "4.03": 400,
      "4.04": 404,
      "4.05": 400,
      "4.06": 406,
      "4.12": 412,
      "4.13": 413,
      "4.15": 415,
      "4.22": 400,
      "5.00": 500,
      "5.01": 501,
      "5.02": 502,
      "5.03": 503,
      "5.04": 504,
      "5.05": 502,
    };
    for (const [code, status] of Object.entries(statuses)) expect(statusOf(code), code).toBe(status);
  });

  it("has the device's own words", () => {
    expect(refusalOf({ code: "4.05", payload: bytes("read\0only\n") })).toBe(
      "the device does not allow this operation here (4.05: read only)",
    );
    expect(refusalOf({ code: "4.04", payload: new Uint8Array() })).toBe(
      "the device has no such object, instance or resource (4.04)",
    );
  });

  it("tells silence from a connection that is lost", () => {
    const ending = (kind: CoapFailure["kind"], transport: "udp" | "tls") =>
      endingOf(new CoapFailure(kind, "in words"), transport);
    expect(ending("timeout", "udp")).toEqual({ status: 504, error: "TIMEOUT" });
    expect(ending("timeout", "tls")).toEqual({ status: 504, error: "TIMEOUT" });
    expect(ending("closed", "udp")).toEqual({ status: 503, error: "NOT_CONNECTED" });
    expect(ending("reset", "udp")).toEqual({ status: 503, error: "NOT_CONNECTED" });
    expect(ending("closed", "tls")).toEqual({ status: 502, error: "CONNECTION_FAILED" });
    expect(ending("too_large", "udp")).toEqual({ status: 413, error: "in words" });
    expect(ending("bad_response", "udp")).toEqual({ status: 502, error: "in words" });
  });
});
