import { type ErrorCode, type FieldError, ServiceError } from "@/server/services/errors";
import { snakeCase } from "./serialize";
import { z } from "./zod";

/** How a request that did not work is answered. */
export interface Failure {
  status: number;
  type: string;
  message: string;
  fields: readonly FieldError[];
  headers?: Readonly<Record<string, string>>;
}

/** Pelion's names for what goes wrong, one for each way in which a verb can fail. */
const FAILURES: Record<ErrorCode, { status: number; type: string }> = {
  bad_request: { status: 400, type: "bad_request" },
  validation_error: { status: 400, type: "validation_error" },
  unauthorized: { status: 401, type: "invalid_auth" },
  forbidden: { status: 403, type: "forbidden" },
  not_found: { status: 404, type: "not_found" },
  conflict: { status: 409, type: "duplicate" },
  locked: { status: 423, type: "locked" },
  limit_exceeded: { status: 403, type: "account_limit_exceeded" },
  unavailable: { status: 503, type: "service_unavailable" },
  internal_error: { status: 500, type: "internal_error" },
};

/** Thrown by the frame itself, for what is no matter of a verb. */
export class ApiError extends Error {
  constructor(readonly failure: Failure) {
    super(failure.message);
  }
}

export const failure = (
  status: number,
  type: string,
  message: string,
  headers?: Readonly<Record<string, string>>,
): ApiError => new ApiError({ status, type, message, fields: [], ...(headers && { headers }) });

/** What an error is to a client; null for what was not thrown on purpose. */
export function toFailure(error: unknown): Failure | null {
  if (error instanceof ApiError) return error.failure;
  if (!(error instanceof ServiceError)) return null;
  // Verbs speak of their own input.
  const fields = error.fields.map(({ name, message }) => ({ name: snakeCase(name), message }));
  return { ...FAILURES[error.code], message: error.message, fields };
}

export const INTERNAL: Failure = {
  status: 500,
  type: "internal_error",
  message: "This did not work because of a fault on this server. Its log says more.",
  fields: [],
};

/** What zod has against an input, field by field. */
export function invalid(error: z.ZodError, where: string): ApiError {
  const fields = error.issues.map((issue) => {
    // A bad key of a record hides its own reasons one level down.
    const reason = issue.code === "invalid_key" ? (issue.issues[0] ?? issue) : issue;
    return { name: issue.path.join(".") || where, message: reason.message };
  });
  const [first] = fields;
  return new ApiError({
    ...FAILURES.validation_error,
    message: first ? `${first.name}: ${first.message}` : "The request is not valid.",
    fields,
  });
}

/** The error envelope. */
export const errorSchema = z
  .object({
    object: z.literal("error"),
    code: z.int(),
    type: z.string(),
    message: z.string(),
    request_id: z.string().regex(/^[0-9a-f]{32}$/),
    fields: z.array(z.object({ name: z.string(), message: z.string() })).optional(),
  })
  .openapi("Error");

export function envelope({ status, type, message, fields }: Failure, requestId: string) {
  return {
    object: "error" as const,
    code: status,
    type,
    message,
    request_id: requestId,
    ...(fields.length > 0 && { fields: [...fields] }),
  };
}
