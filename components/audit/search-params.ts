import { parseAsString } from "nuqs/server";
import type { QueryInput } from "@/server/portal/queries";

/** What the address of the audit log says. */
export const auditParams = {
  type: parseAsString.withDefault(""),
  actor: parseAsString.withDefault(""),
  object: parseAsString.withDefault(""),
  from: parseAsString.withDefault(""),
  to: parseAsString.withDefault(""),
};

type Params = { [K in keyof typeof auditParams]: string };

const DAY = /^\d{4}-\d\d-\d\d$/;
const isDay = (text: string) => DAY.test(text) && !Number.isNaN(Date.parse(text));

/** The same input on the server and in the browser; days are UTC, so that both mean the same. */
export const auditQuery = ({ type, actor, object, from, to }: Params): QueryInput<"audit"> => ({
  ...(type && { objectType: type.slice(0, 100) }),
  ...(actor && { actor: actor.slice(0, 400) }),
  ...(/^[0-9a-f]{32}$/.test(object) && { objectId: object }),
  ...(isDay(from) && { from: `${from}T00:00:00.000Z` }),
  ...(isDay(to) && { to: `${to}T23:59:59.999Z` }),
});
