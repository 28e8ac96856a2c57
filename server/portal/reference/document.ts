/** The part of an OpenAPI 3.1 document that the reference page reads. */
export interface Document {
  info: { title: string; version: string; description?: string };
  paths: Readonly<Record<string, PathItem>>;
  components?: { schemas?: Readonly<Record<string, Schema>> };
}

type PathItem = Partial<Record<(typeof methods)[number], DocumentOperation>>;
export const methods = ["get", "post", "put", "patch", "delete"] as const;

export interface DocumentOperation {
  operationId: string;
  tags?: string[];
  summary?: string;
  description?: string;
  deprecated?: boolean;
  security?: Record<string, string[]>[];
  parameters?: Parameter[];
  requestBody?: { required?: boolean; content: Readonly<Record<string, Media>> };
  responses: Readonly<Record<string, DocumentResponse>>;
}

export interface Parameter {
  name: string;
  in: string;
  required?: boolean;
  description?: string;
  schema?: Schema;
}

export interface DocumentResponse {
  description: string;
  content?: Readonly<Record<string, Media>>;
}

interface Media {
  schema?: Schema;
}

/** JSON Schema as OpenAPI 3.1 uses it. */
export interface Schema {
  $ref?: string;
  type?: string | string[];
  description?: string;
  format?: string;
  contentEncoding?: string;
  pattern?: string;
  enum?: unknown[];
  const?: unknown;
  default?: unknown;
  example?: unknown;
  examples?: unknown[];
  minimum?: number;
  maximum?: number;
  exclusiveMinimum?: number;
  exclusiveMaximum?: number;
  minLength?: number;
  maxLength?: number;
  minItems?: number;
  maxItems?: number;
  items?: Schema;
  properties?: Readonly<Record<string, Schema>>;
  required?: string[];
  additionalProperties?: boolean | Schema;
  anyOf?: Schema[];
  oneOf?: Schema[];
  allOf?: Schema[];
}
