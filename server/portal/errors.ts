import type { ErrorCode, FieldError, ServiceError } from "@/server/services/errors";

/** A failure as pages get it: words for the person, never an internal message. */
export interface Failure {
  code: ErrorCode;
  message: string;
  fields: FieldError[];
}

// The error may come from the other module graph of this process, where `instanceof` does not hold.
export function isServiceError(error: unknown): error is ServiceError {
  return error instanceof Error && error.name === "ServiceError" && "code" in error;
}

/** Null when the error was not thrown on purpose. */
export function toFailure(error: unknown): Failure | null {
  if (!isServiceError(error)) return null;
  return { code: error.code, message: error.message, fields: [...error.fields] };
}

export const INTERNAL: Failure = {
  code: "internal_error",
  message: "This did not work because of a fault on this server. Its log says more.",
  fields: [],
};

const STATUS: Record<ErrorCode, number> = {
  bad_request: 400,
  validation_error: 400,
  unauthorized: 401,
  forbidden: 403,
  not_found: 404,
  conflict: 409,
  locked: 423,
  limit_exceeded: 429,
  unavailable: 503,
  internal_error: 500,
};

export const httpStatus = (code: ErrorCode): number => STATUS[code];
