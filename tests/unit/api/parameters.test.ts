import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { operations } from "@/server/api/operations";
import { newId } from "@/server/services/ids";
import { type ApiBench, openApiBench } from "../../support/api-bench";

let bench: ApiBench;
beforeAll(async () => {
  bench = await openApiBench();
});
afterAll(() => bench.close());

const target = (path: string) =>
  path
    .replace("{account_id}", bench.a.id)
    .replace("{resource_path}", "3/0/0")
    .replace(/\{\w+\}/g, newId());
const isList = (path: string) => !/\}(\/(errors|full)-report|\/echo)?$|\/(me|lwm2m|bootstrap)$/.test(path);
const asking = operations.filter(({ query, filters }) => query || filters);

describe("a parameter that an operation does not know", () => {
  it.each(asking.map((one) => [`${one.method.toUpperCase()} ${one.path}`, one] as const))(
    "is refused by its name: %s",
    async (_, { method, path, filters }) => {
      const names = ["stat", "limitt", "state__foo", ...Object.keys(filters ?? {}).map((name) => `${name}s`)];
      for (const name of names) {
        const needed = path.startsWith("/v2/device-requests") ? "&async-id=1" : "";
        const url = `${target(path)}?${name}=registered${needed}`;
        const answer = await bench.call(bench.a.admin, method.toUpperCase(), url);
        expect([url, answer.status]).toEqual([url, 400]);
        expect(answer.text).toContain(`${name}: is no parameter or condition that is known here`);
      }
    },
  );

  it("is refused by every list", () => {
    const lists = operations.filter(
      ({ method, path, response }) =>
        method === "get" &&
        response &&
        isList(path) &&
        !path.startsWith("/v2/") &&
        !/credentials$/.test(path),
    );
    expect(lists.length).toBeGreaterThan(20);
    expect(lists.filter((one) => !asking.includes(one)).map(({ path }) => path)).toEqual([]);
  });

  it("is none that Pelion's clients send along", async () => {
    const { a } = bench;
    for (const path of [
      "/v3/devices/?filter=",
      "/v3/devices?filter=&limit=2&order=DESC&after=&include=total_count",
      "/v3/devices?state=registered&created_at__lte=1970-01-01T00%3A00%3A00.000Z",
      "/v3/device-enrollments?filter=&limit=50&order=ASC",
      "/v3/trusted-certificates?device_execution_mode__neq=1&device_execution_mode__eq=1",
      "/v3/devicelog/?state_change__in=true,false",
      "/v3/accounts/me?include=limits,policies&properties=x",
      "/v3/accounts?format=x&properties=y",
      "/v3/device-block-categories?reference__eq=maintenance",
      "/v3/certificate-issuer-configurations?reference__eq=BOOTSTRAP",
      `/v3/accounts/${a.id}/policy-groups?limit=2&include=total_count`,
      "/v3/api-keys/me/groups?limit=2",
      "/v2/endpoints?type=lamp",
    ])
      expect([path, (await bench.call(a.admin, "GET", path)).status]).toEqual([path, 200]);
    const categories = await bench.call(
      a.admin,
      "GET",
      "/v3/device-block-categories?reference__eq=maintenance",
    );
    expect(categories.body.data).toMatchObject([{ reference: "maintenance" }]);
    const created = await bench.call(a.admin, "POST", "/v3/users?action=create", { email: "x@example.com" });
    expect(created.status).toBe(201);
  });
});
