import { parseAsInteger, parseAsString, parseAsStringLiteral } from "nuqs/server";
import type { QueryInput } from "@/server/portal/queries";
import { deviceChoices, deviceSorts } from "./choices";

/** What the address of the device list says. */
export const devicesParams = {
  search: parseAsString.withDefault(""),
  state: parseAsStringLiteral(deviceChoices).withDefault("all"),
  group: parseAsString.withDefault(""),
  sort: parseAsStringLiteral(deviceSorts).withDefault("lastSeen"),
  order: parseAsStringLiteral(["asc", "desc"] as const).withDefault("desc"),
  page: parseAsInteger.withDefault(1),
};

export const PAGE_SIZE = 25;

type Params = { [K in keyof typeof devicesParams]: (typeof devicesParams)[K]["defaultValue"] };

/** The same input on the server and in the browser, so that what was rendered is what is looked up. */
export function devicesQuery({ search, state, group, sort, order, page }: Params): QueryInput<"devices"> {
  return {
    search: search.trim().slice(0, 200),
    ...(state === "suspended" ? { suspended: true } : state !== "all" && { state }),
    ...(/^[0-9a-f]{32}$/.test(group) && { groupId: group }),
    sort,
    order,
    page: Math.min(Math.max(1, page), 1_000_000),
    pageSize: PAGE_SIZE,
  };
}
