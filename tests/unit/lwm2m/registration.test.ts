import { describe, expect, test } from "vitest";
import { compareVersions, parseRegister, parseUpdate, parseVersion } from "@/server/lwm2m";

const register = (...query: string[]) => parseRegister(["ep=node", ...query]);
const code = (result: ReturnType<typeof parseRegister> | ReturnType<typeof parseUpdate>) =>
  result.ok ? "ok" : result.code;

describe("parameters of a Register", () => {
  test("REG-01 the usual ones", () => {
    expect(register("lt=300", "lwm2m=1.1", "b=U", "sms=+491234")).toEqual({
      ok: true,
      value: {
        endpointName: "node",
        lifetime: 300,
        lwm2mVersion: "1.1",
        binding: "U",
        queueMode: false,
        smsNumber: "+491234",
        attributes: {},
      },
    });
  });

  test("REG-03 exactly the unknown parameters with a value are kept", () => {
    const result = register("lwm2m=1.0", "key1=value1", "imei=2136872368", "flag");
    expect(result.ok && result.value.attributes).toEqual({ key1: "value1", imei: "2136872368" });
  });

  test("REG-03 a parameter named like a property of objects is only a name", () => {
    const result = register("lwm2m=1.0", "__proto__=x", "constructor=y");
    expect(result.ok && Object.entries(result.value.attributes)).toEqual([
      ["__proto__", "x"],
      ["constructor", "y"],
    ]);
  });

  test("REG-25 the endpoint name may be left to the security identity", () => {
    for (const query of [["lwm2m=1.0"], ["lwm2m=1.0", "ep="]]) {
      const result = parseRegister(query);
      expect(result.ok && result.value.endpointName).toBe(null);
    }
  });

  test("REG-07 REG-08 REG-09 bindings belong to versions", () => {
    expect(code(register("lwm2m=1.1", "b=UT"))).toBe("ok");
    expect(code(register("lwm2m=1.1", "b=UQ"))).toBe("4.00");
    expect(code(register("lwm2m=1.0", "b=UT"))).toBe("4.00");
    expect(code(register("lwm2m=1.0", "b=UQS"))).toBe("ok");
    expect(code(register("lwm2m=1.1", "b=H"))).toBe("4.00");
    expect(code(register("lwm2m=1.2", "b=H"))).toBe("ok");
    expect(code(register("lwm2m=1.1", "b=UU"))).toBe("4.00");
  });

  test("REG-13 a version nobody speaks here", () => {
    expect(code(register("lwm2m=1.3"))).toBe("4.12");
    expect(code(register("lwm2m=2.0"))).toBe("4.12");
    for (const version of ["1.0", "1.1", "1.2"]) expect(code(register(`lwm2m=${version}`))).toBe("ok");
  });

  test("REG-05 REG-19 COD-31 what is no version", () => {
    expect(code(register())).toBe("4.00");
    for (const text of ["", "foo", "1.0.", "1.0.0", "0001.0", "1.02", "-1.0", "a.0", "32768.0"]) {
      expect(parseVersion(text), text).toBe(null);
      expect(code(register(`lwm2m=${text}`)), text).toBe("4.00");
    }
    expect(compareVersions("1.10", "1.9")).toBeGreaterThan(0);
    expect(compareVersions("2.0", "10.0")).toBeLessThan(0);
    expect(compareVersions("1.1", "1.1")).toBe(0);
  });

  test("REG-21 defaults", () => {
    const result = register("lwm2m=1.0");
    expect(result.ok && [result.value.lifetime, result.value.binding]).toEqual([86_400, "U"]);
  });

  test("REG-22 queue mode", () => {
    const mode = (...query: string[]) => {
      const result = register(...query);
      return result.ok ? result.value.queueMode : result.code;
    };
    expect(mode("lwm2m=1.1", "Q")).toBe(true);
    expect(mode("lwm2m=1.1", "Q=1")).toBe("4.00");
    expect(mode("lwm2m=1.0", "Q")).toBe("4.00");
    expect(mode("lwm2m=1.0", "b=UQ")).toBe(true);
    expect(mode("lwm2m=1.1")).toBe(false);
  });

  test("REG-23 a lifetime that is none is a client error in words", () => {
    for (const text of ["abc", "", "-1", "1.5", "0", "99999999999"]) {
      expect(register("lwm2m=1.0", `lt=${text}`), text).toMatchObject({
        ok: false,
        code: "4.00",
        message: expect.stringMatching(/lifetime/),
      });
    }
    const longest = register("lwm2m=1.0", "lt=4294967295");
    expect(longest.ok && longest.value.lifetime).toBe(0x7fffffff);
  });

  test("REG-27 a malformed version is a client error before the unsupported one is looked at", () => {
    expect(code(register("lwm2m=9.9.9"))).toBe("4.00");
  });

  test("a parameter given twice is refused", () => {
    expect(code(register("lwm2m=1.0", "ep=other"))).toBe("4.00");
  });

  test("Pelion's Register", () => {
    const result = parseRegister([
      "ep=x",
      "et=default",
      "lt=7200",
      "lwm2m=1.0",
      "d=aid",
      "b=U",
      "aid=1",
      "mccv=4.13.2",
    ]);
    expect(result.ok && result.value.attributes).toEqual({
      et: "default",
      d: "aid",
      aid: "1",
      mccv: "4.13.2",
    });
  });
});

describe("parameters of an Update", () => {
  test("UPD-03 UPD-04 the binding is judged by the registered version", () => {
    expect(code(parseUpdate(["b=U"], { lwm2mVersion: "1.0" }))).toBe("ok");
    expect(code(parseUpdate(["b=U"], { lwm2mVersion: "1.1" }))).toBe("ok");
    expect(code(parseUpdate(["b=UQ"], { lwm2mVersion: "1.1" }))).toBe("4.00");
    expect(code(parseUpdate(["b=UT"], { lwm2mVersion: "1.0" }))).toBe("4.00");
  });

  test("UPD-07 UPD-15 what is not there stays as it is", () => {
    expect(parseUpdate([], { lwm2mVersion: "1.1" })).toEqual({
      ok: true,
      value: { lifetime: null, binding: null, queueMode: null, smsNumber: null, attributes: {} },
    });
  });

  test("UPD-09 UPD-10 a new lifetime and more attributes", () => {
    const result = parseUpdate(["lt=60", "et=default", "k=v"], { lwm2mVersion: "1.0" });
    expect(result.ok && result.value).toMatchObject({ lifetime: 60, attributes: { et: "default", k: "v" } });
  });
});
