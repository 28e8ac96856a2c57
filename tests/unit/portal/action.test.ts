import { describe, expect, it } from "vitest";
import { z } from "zod";
import { httpStatus, isServiceError, toFailure } from "@/server/portal/errors";
import { toWire } from "@/server/portal/wire";
import { ServiceError } from "@/server/services/errors";

describe("failures on their way to a page", () => {
  it("know a service error of another module graph by its name", () => {
    const foreign = Object.assign(new Error("Device not found."), {
      name: "ServiceError",
      code: "not_found",
      fields: [],
    });
    expect(isServiceError(foreign)).toBe(true);
    expect(toFailure(foreign)).toEqual({ code: "not_found", message: "Device not found.", fields: [] });
    expect(toFailure(new ServiceError("conflict", "Taken."))?.code).toBe("conflict");
  });

  it("never show the words of an unexpected error", () => {
    expect(toFailure(new Error("SQLITE_BUSY at /secret/path"))).toBeNull();
    expect(httpStatus("internal_error")).toBe(500);
    expect(httpStatus("unauthorized")).toBe(401);
  });
});

describe("data on its way to a page", () => {
  it("is the same rendered and asked for", () => {
    expect(toWire({ at: new Date(0), list: [new Date(1)], none: null })).toEqual({
      at: "1970-01-01T00:00:00.000Z",
      list: ["1970-01-01T00:00:00.001Z"],
      none: null,
    });
    expect(toWire(undefined)).toBeNull();
    expect(z.null().parse(toWire(undefined))).toBeNull();
  });
});
