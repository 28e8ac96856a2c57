import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type ApiBench, openApiBench } from "../../support/api-bench";

let bench: ApiBench;
beforeAll(async () => {
  bench = await openApiBench();
});
afterAll(() => bench.close());

const call = (method: string, path: string, body?: unknown) =>
  bench.call(bench.a.developer, method, `/v3/device-queries/${path}`, body);

describe("device queries", () => {
  it("are saved, renamed and replaced, and deleted", async () => {
    const query = "state=registered&custom_attributes__foo=bar";
    const made = (await call("POST", "", { name: "red ones", query })).body;
    expect(made).toMatchObject({ object: "device-query", name: "red ones", query });
    expect((await call("GET", made.id)).body).toEqual(made);
    const changed = (await call("PUT", `${made.id}/`, { name: "all", query: "created_at__gte=20260101" }))
      .body;
    expect(changed).toMatchObject({ id: made.id, name: "all", query: "created_at__gte=20260101" });
    const listed = (await call("GET", "?filter=name%3Dall")).body;
    expect(listed).toMatchObject({ total_count: 1, data: [changed] });
    expect((await call("GET", "?name__eq=other")).body.data).toEqual([]);
    expect((await call("DELETE", made.id)).status).toBe(204);
    expect((await call("GET", made.id)).status).toBe(404);
    expect(await bench.db.auditEntry.count({ where: { objectId: made.id } })).toBe(3);
  });

  it("may be without any condition, as the JavaScript SDK sends it", async () => {
    expect((await call("POST", "", { name: "everything", query: null })).body.query).toBe("");
  });

  it("have a name of their own", async () => {
    await call("POST", "", { name: "twice", query: "" });
    expect((await call("POST", "", { name: "twice", query: "" })).status).toBe(409);
    expect(
      (await bench.call(bench.b.admin, "POST", "/v3/device-queries", { name: "twice", query: "" })).status,
    ).toBe(201);
  });

  it("are refused in words when no list of devices would take them", async () => {
    for (const query of [
      "state",
      "colour=red",
      "state__like=reg",
      "state__bigger=1",
      "custom_attributes__foo__neq=bar",
      "auto_update=maybe",
      "created_at__lte=yesterday",
      Array.from({ length: 101 }, () => "id=x").join("&"),
    ]) {
      const { status, body } = await call("POST", "", { name: "broken", query });
      expect([status, body.type, body.fields[0].name], query).toEqual([400, "validation_error", "query"]);
      expect(body.message).toMatch(/^query: ./);
    }
    for (const body of [{ name: "x" }, { query: "" }, { name: "x", query: "x".repeat(1001) }])
      expect((await call("POST", "", body)).status).toBe(400);
  });
});
