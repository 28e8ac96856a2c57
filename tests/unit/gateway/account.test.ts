import { describe, expect, it } from "vitest";
import { placeAccount } from "@/server/gateway/bootstrap/account";
import { parseLinks } from "@/server/lwm2m";

const place = (links: string) => placeAccount(parseLinks(links), 1);

describe("the place of the LwM2M account", () => {
  it("is beside the client's own bootstrap account, wherever that is", () => {
    expect(place('</>;lwm2m=1.1,</0/0>;uri="coaps://bs",</1>,</3/0>')).toEqual({
      securityInstance: 1,
      serverInstance: 0,
      lwm2mVersion: "1.1",
    });
    expect(place('</>;lwm2m="1.0",</0/1>;uri="coaps://bs",</3/0>')).toMatchObject({
      securityInstance: 0,
      lwm2mVersion: "1.0",
    });
  });

  it("is where the account of the same short server id was", () => {
    expect(
      place('</0/0>;uri="coaps://bs",</0/7>;ssid=1;uri="coaps://dm",</1/3>;ssid=1,</1/0>;ssid=9'),
    ).toMatchObject({
      securityInstance: 7,
      serverInstance: 3,
    });
  });

  it("leaves accounts of other servers alone", () => {
    expect(place('</0/0>;uri="x",</0/1>;ssid=101;uri="y",</1/0>;ssid=101')).toMatchObject({
      securityInstance: 2,
      serverInstance: 1,
    });
  });

  it("keeps away from low ids when the client cannot be asked", () => {
    expect(placeAccount(null, 1)).toEqual({ securityInstance: 10, serverInstance: 0, lwm2mVersion: null });
  });
});
