import type { Document, DocumentOperation, Parameter } from "./document";
import { methods } from "./document";
import { type FieldView, type SchemaView, viewSchema } from "./schema";

/** An operation as a list shows it. */
export interface OperationLine {
  id: string;
  method: string;
  path: string;
  summary: string;
  /** What a key must be allowed to; null: any key will do. */
  scope: string | null;
  deprecated: boolean;
}

export interface OperationGroup {
  tag: string;
  operations: OperationLine[];
}

/** A field that a list can be filtered by, and how. */
export interface FilterView {
  field: string;
  operators: string[];
}

export interface BodyView {
  contentType: string;
  required: boolean;
  schema: SchemaView | null;
}

export interface ResponseView {
  status: string;
  description: string;
  contentType: string | null;
  schema: SchemaView | null;
}

/** Everything that is said of an operation. */
export interface OperationView extends OperationLine {
  tag: string;
  description: string | null;
  /** Of the path, the query and the headers. */
  parameters: (FieldView & { where: string })[];
  filters: FilterView[];
  bodies: BodyView[];
  responses: ResponseView[];
}

export interface Reference {
  version: string;
  groups: OperationGroup[];
  operations: ReadonlyMap<string, { view: OperationLine; tag: string; source: DocumentOperation }>;
}

const OTHER = "Other";

/** Sorts the operations of a document by what they are about. */
export function readReference(document: Document): Reference {
  const groups = new Map<string, OperationLine[]>();
  const operations = new Map<string, { view: OperationLine; tag: string; source: DocumentOperation }>();
  for (const [path, item] of Object.entries(document.paths)) {
    for (const method of methods) {
      const source = item[method];
      if (!source) continue;
      const tag = source.tags?.[0] ?? OTHER;
      const view: OperationLine = {
        id: source.operationId,
        method: method.toUpperCase(),
        path,
        summary: source.summary ?? "",
        scope: source.security?.flatMap((one) => Object.values(one).flat())[0] ?? null,
        deprecated: source.deprecated ?? false,
      };
      operations.set(view.id, { view, tag, source });
      groups.set(tag, [...(groups.get(tag) ?? []), view]);
    }
  }
  return {
    version: document.info.version,
    groups: [...groups].map(([tag, list]) => ({ tag, operations: list })),
    operations,
  };
}

const OPERATOR = /^(.+?)__(eq|neq|in|nin|lte|gte|lt|gt|like)$/;

/** One operation in full; null when there is none of this ID. */
export function viewOperation(document: Document, reference: Reference, id: string): OperationView | null {
  const found = reference.operations.get(id);
  if (!found) return null;
  const components = document.components?.schemas ?? {};
  const { source, view, tag } = found;
  const { filters, others } = splitFilters(source.parameters ?? []);
  return {
    ...view,
    tag,
    description: source.description ?? null,
    parameters: others.map(({ name, in: where, required, description, schema }) => {
      const of = viewSchema(schema ?? {}, components);
      return { ...of, description: description ?? of.description, name, where, required: required ?? false };
    }),
    filters,
    bodies: Object.entries(source.requestBody?.content ?? {}).map(([contentType, { schema }]) => ({
      contentType,
      required: source.requestBody?.required ?? false,
      schema: schema ? viewSchema(schema, components) : null,
    })),
    responses: Object.entries(source.responses).map(([status, { description, content }]) => {
      const [media] = Object.entries(content ?? {});
      return {
        status,
        description,
        contentType: media?.[0] ?? null,
        schema: media?.[1].schema ? viewSchema(media[1].schema, components) : null,
      };
    }),
  };
}

/** `state__eq`, `state__in` and so on are one field with its operators. */
function splitFilters(parameters: Parameter[]): { filters: FilterView[]; others: Parameter[] } {
  const filters = new Map<string, string[]>();
  const others: Parameter[] = [];
  for (const parameter of parameters) {
    const [, field, operator] = OPERATOR.exec(parameter.name) ?? [];
    if (parameter.in !== "query" || !field || !operator) others.push(parameter);
    else filters.set(field, [...(filters.get(field) ?? []), operator]);
  }
  return { filters: [...filters].map(([field, operators]) => ({ field, operators })), others };
}
