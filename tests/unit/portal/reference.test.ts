import { describe, expect, it } from "vitest";
import { openApiDocument } from "@/server/api/document";
import { readReference, viewOperation } from "@/server/portal/reference";
import { curl } from "@/server/portal/reference/curl";
import type { Document } from "@/server/portal/reference/document";
import { example, viewSchema } from "@/server/portal/reference/schema";

const origin = "http://gangway.example:3000";

describe("the reference of what this instance serves", () => {
  const document = openApiDocument("1.2.3") as unknown as Document;
  const reference = readReference(document);

  it("has every operation of the document, once", () => {
    const ids = reference.groups.flatMap(({ operations }) => operations.map(({ id }) => id));
    const paths = Object.values(document.paths).flatMap((item) => Object.keys(item));
    expect(ids.length).toBe(paths.length);
    expect(new Set(ids).size).toBe(ids.length);
  });

  it("says of each what it does, what a key must be allowed to, what it answers and how to ask", () => {
    for (const { id, method, path } of reference.groups.flatMap(({ operations }) => operations)) {
      const view = viewOperation(document, reference, id);
      expect(view, id).toMatchObject({ method, path });
      expect(view?.summary, id).not.toBe("");
      expect(view?.scope, id).toMatch(/^(read|connect|manage|credentials)$/);
      expect(view?.responses.length, id).toBeGreaterThan(0);
      const source = reference.operations.get(id)?.source;
      const command = source && curl(document, { method, path, source }, { origin });
      expect(command, id).toContain(`${origin}/`);
      expect(command, id).not.toMatch(/[{}](?!.*')/);
    }
  });

  it("shows the operators of a field together", () => {
    const list = viewOperation(document, reference, "get_v3_devices");
    expect(list?.filters).toContainEqual({ field: "state", operators: ["eq", "neq", "in", "nin"] });
    expect(list?.parameters.map(({ name }) => name)).toEqual([
      "limit",
      "after",
      "order",
      "include",
      "filter",
    ]);
  });

  it("knows no operation that is not there", () => {
    expect(viewOperation(document, reference, "get_nothing")).toBeNull();
    expect(viewOperation(document, reference, "constructor")).toBeNull();
  });
});

describe("a schema in words", () => {
  it("names limits, choices and what may be absent", () => {
    const view = viewSchema(
      {
        type: "object",
        required: ["name"],
        properties: {
          name: { type: "string", maxLength: 100, minLength: 1 },
          state: { type: ["string", "null"], enum: ["on", "off", null] },
          count: { anyOf: [{ type: "integer", minimum: 0, maximum: 9 }, { type: "null" }] },
          at: { type: "string", format: "date-time" },
          tags: { type: "object", additionalProperties: { type: "string" } },
        },
      },
      {},
    );
    expect(
      view.fields.map(({ name, type, required, choices, limits }) => [name, type, required, choices, limits]),
    ).toEqual([
      ["name", "text", true, [], ["1 to 100 characters"]],
      ["state", "text or null", false, ["on", "off"], []],
      ["count", "integer or null", false, [], ["0 to 9"]],
      ["at", "time", false, [], []],
      ["tags", "object of text", false, [], []],
    ]);
  });

  it("ends where a component is inside itself", () => {
    const components = {
      Tree: {
        type: "object",
        properties: { children: { type: "array", items: { $ref: "#/components/schemas/Tree" } } },
      },
      Loop: { $ref: "#/components/schemas/Loop" },
    };
    const view = viewSchema({ $ref: "#/components/schemas/Tree" }, components);
    expect(view.fields[0]).toMatchObject({ name: "children", type: "list of Tree", fields: [] });
    expect(viewSchema({ $ref: "#/components/schemas/Loop" }, components).type).toBe("anything");
    expect(JSON.stringify(example({ $ref: "#/components/schemas/Tree" }, components)).length).toBeLessThan(
      200,
    );
  });

  it("keeps shapes apart that have fields of their own", () => {
    const view = viewSchema(
      {
        oneOf: [{ type: "string" }, { type: "object", properties: { a: { type: "string" } } }],
      },
      {},
    );
    expect(view.variants.map(({ type }) => type)).toEqual(["text", "object"]);
  });
});

describe("the command of an operation", () => {
  const make = (path: string, source: object, known?: Record<string, string>) =>
    curl(
      { info: { title: "", version: "" }, paths: {} },
      { method: "POST", path, source: { operationId: "x", responses: {}, ...source } },
      { origin, known },
    );

  it("is safe to paste, whatever is in an example", () => {
    const body = { content: { "application/json": { schema: { example: { a: "it's $(rm -rf)" } } } } };
    expect(make("/v3/x", { requestBody: body })).toContain(`-d '{"a":"it'\\''s $(rm -rf)"}'`);
  });

  it("has what is known filled in, and capitals where something is to be", () => {
    expect(make("/v2/x/{device-id}/{resource_path}", {}, { "device-id": "abc" })).toContain(
      `${origin}/v2/x/abc/3303/0/5700`,
    );
    expect(make("/v3/x/{caId}", {})).toContain(`${origin}/v3/x/CA_ID`);
  });

  it("sends files and bytes as such", () => {
    const files = { properties: { list: { format: "binary" } }, required: ["list"] };
    expect(
      make("/v3/x", { requestBody: { content: { "multipart/form-data": { schema: files } } } }),
    ).toContain("-F list=@FILE");
    expect(make("/v3/x", { requestBody: { content: { "application/octet-stream": {} } } })).toContain(
      "--data-binary @FILE",
    );
  });
});
