import { z } from "zod";
import { ServiceError } from "./errors";

/** Checks an input; says of every field at fault what is wrong with it. */
export function validate<S extends z.ZodType>(schema: S, input: unknown): z.output<S> {
  const result = schema.safeParse(input);
  if (result.success) return result.data;
  const fields = result.error.issues.map((issue) => ({
    name: issue.path.join(".") || "input",
    message: issue.message,
  }));
  const first = fields[0];
  throw new ServiceError(
    "validation_error",
    first ? `${first.name}: ${first.message}` : "Invalid input.",
    fields,
  );
}

export const idField = z.string().regex(/^[0-9a-f]{32}$/, "must be 32 hexadecimal characters");
export const idInput = z.object({ id: idField });

/** A name a person gives to something. */
export const nameField = (max: number) =>
  z.string().trim().min(1, "is needed").max(max, `may have at most ${max} characters`);
export const descriptionField = (max: number) =>
  z.string().trim().max(max, `may have at most ${max} characters`);

/** The fields that were given. */
export const given = <T extends object>(fields: T) =>
  Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]?: Exclude<T[K], undefined>;
  };
