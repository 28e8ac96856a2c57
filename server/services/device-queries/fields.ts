import { z } from "zod";
import { deviceFilters } from "../devices/search";
import { ServiceError } from "../errors";
import { compileFilters } from "../filter";
import { readFilter } from "../filter-text";
import { pageInput } from "../page";
import { nameField, validate } from "../validate";

/** What people say of a query. */
export const queryFields = {
  name: nameField(200),
  /** As a list of devices takes it, not encoded; empty: every device. */
  query: z.string().trim().max(1000, "may have at most 1000 characters"),
};

/** Refuses a query that a list of devices would refuse. */
export function checkQuery(text: string): void {
  try {
    const { filters } = validate(pageInput, { filters: readFilter(text, deviceFilters) });
    compileFilters(deviceFilters, filters);
  } catch (error) {
    if (!(error instanceof ServiceError)) throw error;
    throw new ServiceError(error.code, `query: ${error.message}`, [
      { name: "query", message: error.message },
    ]);
  }
}
