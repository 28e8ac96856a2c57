/** Every way a verb can fail; each transport maps the whole list (server/api, server/gateway, app). */
export type ErrorCode =
  | "bad_request"
  | "validation_error"
  | "unauthorized"
  | "forbidden"
  | "not_found"
  | "conflict"
  /** It cannot be done now: the device is away, blocked or cannot do it. */
  | "locked"
  | "limit_exceeded"
  | "unavailable"
  | "internal_error";

export interface FieldError {
  name: string;
  message: string;
}

/** The only error a verb throws on purpose; its message is written for the person who can fix it. */
export class ServiceError extends Error {
  constructor(
    readonly code: ErrorCode,
    message: string,
    readonly fields: readonly FieldError[] = [],
  ) {
    super(message);
    this.name = "ServiceError";
  }
}

export const notFound = (what: string) => new ServiceError("not_found", `${what} not found.`);
