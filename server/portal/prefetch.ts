import { dehydrate, QueryClient } from "@tanstack/react-query";
import { type QueryInput, type QueryName, queries } from "./queries";
import { requireUser } from "./session";
import { contextOf } from "./session-user";
import { toWire } from "./wire";

/** One thing a page needs before it is shown. */
export type Wanted = { [K in QueryName]: [name: K, input: QueryInput<K>] }[QueryName];

/** Reads what a page needs, for a HydrationBoundary; throws the verb's error, for instance "not found". */
export async function prefetch(...wanted: Wanted[]) {
  const user = await requireUser();
  const client = new QueryClient();
  await Promise.all(
    wanted.map(async ([name, input]) => {
      const { input: schema, run } = queries[name];
      const output = await run(contextOf(user), schema.parse(input) as never);
      const data = toWire(output as unknown);
      // These go on page by page.
      const paged = name === "events" || name === "audit" || name === "enrollments";
      client.setQueryData([name, input], paged ? { pages: [data], pageParams: [null] } : data);
    }),
  );
  return dehydrate(client);
}
