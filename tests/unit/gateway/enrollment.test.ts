import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  DEVELOPER_CERTIFICATE_DEVICES,
  decideEnrollment,
  decideUnsecured,
  type EnrollmentCertificate,
  type EnrollmentDirectory,
  type EnrollmentRequest,
  type KnownDevice,
} from "@/server/services/enrollment/decide";

const ACCOUNT = "a".repeat(32);
const OTHER_ACCOUNT = "b".repeat(32);
const DEVICE = "1".repeat(32);
const developer: EnrollmentCertificate = {
  accountId: ACCOUNT,
  caId: "ca",
  developer: true,
  commonName: "cafe",
};
const factory: EnrollmentCertificate = { ...developer, developer: false };
const asks: EnrollmentRequest = {
  endpointName: null,
  accountId: null,
  deviceId: null,
  keepsDeviceId: false,
  address: "192.0.2.1",
};
const device = (change: Partial<KnownDevice> = {}): KnownDevice => ({
  id: DEVICE,
  accountId: ACCOUNT,
  identity: "ep:cafe",
  endpointName: "cafe",
  caId: "ca",
  secured: true,
  ...change,
});

function directory(
  devices: KnownDevice[],
  count = devices.length,
  leftover?: KnownDevice,
): EnrollmentDirectory {
  return {
    byId: (id) => devices.find((one) => one.id === id),
    byIdentity: (accountId, identity) =>
      devices.find((one) => one.accountId === accountId && one.identity === identity),
    countByCa: () => count,
    unfinished: () => leftover,
  };
}

describe("enrollment with a certificate", () => {
  it("finds an entry that was made before its device was seen", () => {
    const early = device({ caId: null, secured: false });
    const decision = decideEnrollment(factory, asks, directory([early]));
    expect(decision).toMatchObject({ kind: "known", device: early });
    // With the certificate that it has to come by, no other will do.
    const bound = device({ caId: "another", secured: true });
    expect(decideEnrollment(factory, asks, directory([bound]))).toMatchObject({ kind: "refused" });
    // Nor may anybody take over a device whose certificate was deleted.
    const orphan = device({ caId: null, secured: true });
    expect(decideEnrollment(factory, asks, directory([orphan]))).toMatchObject({ kind: "refused" });
  });

  it("makes a new device named by the common name when it names itself not at all", () => {
    const decision = decideEnrollment(factory, asks, directory([]));
    expect(decision).toMatchObject({ kind: "new", endpointName: "cafe" });
    expect(decision.kind === "new" && decision.identity(DEVICE)).toBe("ep:cafe");
  });

  it("finds the device it was before", () => {
    const known = device();
    expect(decideEnrollment(factory, { ...asks, endpointName: "cafe" }, directory([known]))).toEqual({
      kind: "known",
      device: known,
      endpointName: "cafe",
    });
  });

  it("refuses a name that is not the certificate's", () => {
    for (const certificate of [developer, factory])
      for (const endpointName of ["cafeteria", "beef", "caf", "cafe-", "cafe x", "CAFE"])
        expect(decideEnrollment(certificate, { ...asks, endpointName }, directory([])).kind).toBe("refused");
  });

  it("lets devices that share a developer certificate extend the name, and no others", () => {
    const request = { ...asks, endpointName: "cafe-kitchen" };
    expect(decideEnrollment(developer, request, directory([]))).toMatchObject({
      kind: "new",
      endpointName: "cafe-kitchen",
    });
    expect(decideEnrollment(factory, request, directory([])).kind).toBe("refused");
  });

  it("refuses another account's URI", () => {
    expect(decideEnrollment(developer, { ...asks, accountId: OTHER_ACCOUNT }, directory([])).kind).toBe(
      "refused",
    );
    expect(decideEnrollment(developer, { ...asks, accountId: ACCOUNT }, directory([])).kind).toBe("new");
  });

  it("gives a client that keeps its ID a new one unless it sends one", () => {
    const request = { ...asks, keepsDeviceId: true };
    const decision = decideEnrollment(developer, request, directory([device()]));
    expect(decision.kind === "new" && decision.identity(DEVICE)).toBe(`id:${DEVICE}`);
    expect(
      decideEnrollment(developer, { ...request, deviceId: DEVICE }, directory([device()])),
    ).toMatchObject({
      kind: "known",
      device: { id: DEVICE },
    });
  });

  it("gives the entry of a bootstrap that broke off to whoever comes back without an ID", () => {
    const leftover = device({ identity: `id:${DEVICE}` });
    const request = { ...asks, keepsDeviceId: true };
    expect(decideEnrollment(developer, request, directory([leftover], 1, leftover))).toMatchObject({
      kind: "known",
      device: { id: DEVICE },
    });
    expect(decideEnrollment(developer, asks, directory([leftover], 1, leftover)).kind).toBe("new");
  });

  it("knows one device per factory certificate, whatever its client keeps", () => {
    const decision = decideEnrollment(factory, { ...asks, keepsDeviceId: true }, directory([device()]));
    expect(decision).toMatchObject({ kind: "known", device: { id: DEVICE } });
  });

  it("refuses the ID or the name of a device that came in by another certificate", () => {
    const other = directory([device({ caId: "another" })]);
    expect(decideEnrollment(developer, { ...asks, deviceId: DEVICE }, other).kind).toBe("refused");
    expect(decideEnrollment(developer, { ...asks, endpointName: "cafe" }, other).kind).toBe("refused");
  });

  it("does not see devices of other accounts", () => {
    const elsewhere = directory([device({ accountId: OTHER_ACCOUNT })]);
    expect(decideEnrollment(developer, { ...asks, deviceId: DEVICE }, elsewhere).kind).toBe("new");
  });

  it("refuses the device after the last one of a developer certificate, but not one it knows", () => {
    const full = directory([device()], DEVELOPER_CERTIFICATE_DEVICES);
    expect(decideEnrollment(developer, { ...asks, endpointName: "cafe-next" }, full).kind).toBe("refused");
    expect(decideEnrollment(developer, { ...asks, endpointName: "cafe" }, full).kind).toBe("known");
    expect(decideEnrollment(factory, { ...asks }, directory([], DEVELOPER_CERTIFICATE_DEVICES)).kind).toBe(
      "new",
    );
  });

  it("never hands a device to a certificate it did not come in by", () => {
    fc.assert(
      fc.property(
        fc.record({
          caId: fc.constantFrom("ca", "another", null),
          accountId: fc.constantFrom(ACCOUNT, OTHER_ACCOUNT),
          identity: fc.constantFrom("ep:cafe", "ep:cafe-x", `id:${DEVICE}`),
          endpointName: fc.constantFrom("cafe", "cafe-x"),
        }),
        fc.record({
          endpointName: fc.constantFrom(null, "cafe", "cafe-x"),
          accountId: fc.constantFrom(null, ACCOUNT),
          deviceId: fc.constantFrom(null, DEVICE),
          keepsDeviceId: fc.boolean(),
          address: fc.constant("192.0.2.1"),
        }),
        fc.boolean(),
        (known, request, isDeveloper) => {
          const certificate = { ...developer, developer: isDeveloper };
          const decision = decideEnrollment(certificate, request, directory([device(known)]));
          if (decision.kind !== "known") return;
          expect(decision.device.caId).toBe(certificate.caId);
          expect(decision.device.accountId).toBe(ACCOUNT);
        },
      ),
    );
  });
});

describe("enrollment without transport security", () => {
  it("takes a name, and nothing else", () => {
    expect(decideUnsecured(ACCOUNT, { ...asks, endpointName: "lamp" }, directory([])).kind).toBe("new");
    expect(decideUnsecured(ACCOUNT, { ...asks, endpointName: null }, directory([])).kind).toBe("refused");
  });

  it("takes and refuses the same names as a certificate", () => {
    const kinds = (endpointName: string) => [
      decideUnsecured(ACCOUNT, { ...asks, endpointName }, directory([])).kind,
      decideEnrollment({ ...factory, commonName: endpointName }, asks, directory([])).kind,
      decideEnrollment(
        { ...developer, commonName: "n" },
        { ...asks, endpointName: `n-${endpointName}` },
        directory([]),
      ).kind,
    ];
    for (const name of ["with space", "ä", "Küche 3", "灯", "🏭", "x".repeat(126), "urn:dev:os:1"])
      expect([name, ...kinds(name)]).toEqual([name, "new", "new", "new"]);
    for (const name of ["x".repeat(129), "line\nbreak", "bell\x07", "line\u2028separator"])
      expect([name, ...kinds(name)]).toEqual([name, "refused", "refused", "refused"]);
    for (const name of ["", " "]) expect(kinds(name).slice(0, 2)).toEqual(["refused", "refused"]);
  });

  it("does not let anybody pose as a device that has a certificate [SEC-43]", () => {
    const request = { ...asks, endpointName: "cafe" };
    expect(decideUnsecured(ACCOUNT, request, directory([device({ caId: null })])).kind).toBe("refused");
    expect(decideUnsecured(ACCOUNT, request, directory([device({ caId: null, secured: false })])).kind).toBe(
      "known",
    );
  });
});
