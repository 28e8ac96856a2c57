import { z } from "zod";

/** Of an endpoint name, wherever it comes from: a certificate, a request on plain CoAP, or an application. */
const MAX_ENDPOINT_NAME = 128;

/** What is wrong with an endpoint name, or null: what can be read and written in one line is one. */
export function endpointNameFault(name: string): string | null {
  if (name.trim() === "") return "is empty";
  if (name.length > MAX_ENDPOINT_NAME) return `is longer than ${MAX_ENDPOINT_NAME} characters`;
  if (/[\p{Cc}\p{Zl}\p{Zp}]/u.test(name)) return "holds a control character";
  return null;
}

export const endpointNameField = z.string().superRefine((name, check) => {
  const message = endpointNameFault(name);
  if (message) check.addIssue({ code: "custom", message });
});
