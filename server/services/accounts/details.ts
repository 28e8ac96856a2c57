import { z } from "zod";
import { descriptionField } from "../validate";

const text = descriptionField(100).nullable();
const email = z
  .string()
  .max(254, "may have at most 254 characters")
  .regex(/^[^@\s]+@[^@\s]+$/, "must be an e-mail address");

/** What people say of an account; nothing here changes what Gangway does. */
export const detailsField = z
  .object({
    company: text,
    contact: text,
    email: email.nullable(),
    phoneNumber: text,
    addressLine1: text,
    addressLine2: text,
    city: text,
    postalCode: text,
    state: text,
    country: text,
    customerNumber: text,
    endMarket: text,
    notificationEmails: z.array(email).max(100, "may hold at most 100").nullable(),
    customFields: z
      .record(z.string().max(100), z.string().max(1000))
      .refine((fields) => Object.keys(fields).length <= 100, "may hold at most 100 pairs")
      .nullable(),
  })
  .partial();

export type AccountDetails = z.output<typeof detailsField>;

/** Details as kept: a JSON object. */
export const readDetails = (text: string): AccountDetails => JSON.parse(text) as AccountDetails;

/** Details with changes to them; null takes one away. */
export const mergeDetails = (known: AccountDetails, changes: AccountDetails): AccountDetails =>
  Object.fromEntries(
    Object.entries({ ...known, ...changes }).filter(([, value]) => value !== null && value !== undefined),
  );
