"use client";
import {
  type InfiniteData,
  keepPreviousData,
  type QueryKey,
  useInfiniteQuery,
  useQuery,
} from "@tanstack/react-query";
import type { Failure } from "@/server/portal/errors";
import type { QueryInput, QueryName, QueryOutput } from "@/server/portal/queries";
import { withHeard } from "./heard";

/** A failure in words for the person at the page. */
export class DataError extends Error {
  constructor(readonly failure: Failure) {
    super(failure.message);
    this.name = "DataError";
  }
}

export async function fetchData<K extends QueryName>(
  name: K,
  input: QueryInput<K>,
  signal?: AbortSignal,
): Promise<QueryOutput<K>> {
  let response: Response;
  try {
    response = await fetch(`/data/${name}?input=${encodeURIComponent(JSON.stringify(input))}`, { signal });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new DataError({ code: "unavailable", message: "The portal does not answer.", fields: [] });
  }
  if (response.status === 401) location.assign(`/login?next=${encodeURIComponent(location.pathname)}`);
  const body = await response.json();
  if (!response.ok) throw new DataError(body.error);
  return withHeard(name, input, body);
}

/** Data of a page: there from the server at first, asked again when something changed. */
export function useData<K extends QueryName>(
  name: K,
  input: QueryInput<K>,
  options: {
    keep?: boolean;
    enabled?: boolean;
    everyMs?: number;
    /** As long as the data is like this; left out: always. */
    everyWhile?: (data: QueryOutput<K> | undefined) => boolean;
  } = {},
) {
  return useQuery<QueryOutput<K>, DataError>({
    queryKey: [name, input],
    queryFn: ({ signal }) => fetchData(name, input, signal),
    placeholderData: options.keep ? keepPreviousData : undefined,
    enabled: options.enabled,
    refetchInterval: ({ state }) =>
      options.everyMs !== undefined && (options.everyWhile?.(state.data) ?? true) ? options.everyMs : false,
  });
}

/** Lists that come in pages, the newest first, and where the next page goes on. */
interface Paged {
  audit: "after";
  enrollments: "after";
  events: "before";
}

/** Such a list; older pages are asked for one by one. */
function usePages<K extends keyof Paged>(
  name: K,
  input: QueryInput<K>,
  from: Paged[K],
  options: { keep?: boolean } = {},
) {
  const query = useInfiniteQuery<
    QueryOutput<K>,
    DataError,
    InfiniteData<QueryOutput<K>>,
    QueryKey,
    string | null
  >({
    queryKey: [name, input],
    queryFn: ({ pageParam, signal }) =>
      fetchData(name, pageParam ? { ...input, [from]: pageParam } : input, signal),
    initialPageParam: null,
    getNextPageParam: (last) => (last.more ? (last.rows.at(-1)?.id ?? null) : null),
    placeholderData: options.keep ? keepPreviousData : undefined,
  });
  const rows = query.data?.pages.flatMap((page) => page.rows as QueryOutput<K>["rows"][number][]);
  return { ...query, rows };
}

/** The audit log. */
export function useAudit(input: QueryInput<"audit">) {
  const query = usePages("audit", input, "after", { keep: true });
  const names = Object.assign({}, ...(query.data?.pages ?? []).map((page) => page.names));
  return { ...query, names: names as Record<string, string> };
}

/** The devices that the account claims. */
export const useEnrollments = () => usePages("enrollments", {}, "after");

/** A timeline. */
export const useEvents = (input: QueryInput<"events">) => usePages("events", input, "before", { keep: true });
