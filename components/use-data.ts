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

/** The audit log, the newest first; older pages are asked for one by one. */
export function useAudit(input: QueryInput<"audit">) {
  const query = useInfiniteQuery<
    QueryOutput<"audit">,
    DataError,
    InfiniteData<QueryOutput<"audit">>,
    QueryKey,
    string | null
  >({
    queryKey: ["audit", input],
    queryFn: ({ pageParam, signal }) =>
      fetchData("audit", pageParam ? { ...input, after: pageParam } : input, signal),
    initialPageParam: null,
    getNextPageParam: (last) => (last.more ? (last.rows.at(-1)?.id ?? null) : null),
    placeholderData: keepPreviousData,
  });
  const pages = query.data?.pages;
  return {
    ...query,
    rows: pages?.flatMap((page) => page.rows),
    names: Object.assign({}, ...(pages ?? []).map((page) => page.names)) as Record<string, string>,
  };
}

/** The devices that the account claims, the newest first; older pages are asked for one by one. */
export function useEnrollments() {
  const query = useInfiniteQuery<
    QueryOutput<"enrollments">,
    DataError,
    InfiniteData<QueryOutput<"enrollments">>,
    QueryKey,
    string | null
  >({
    queryKey: ["enrollments", {}],
    queryFn: ({ pageParam, signal }) =>
      fetchData("enrollments", pageParam ? { after: pageParam } : {}, signal),
    initialPageParam: null,
    getNextPageParam: (last) => (last.more ? (last.rows.at(-1)?.id ?? null) : null),
  });
  return { ...query, rows: query.data?.pages.flatMap((page) => page.rows) };
}

/** A timeline, the newest first; older pages are asked for one by one. */
export function useEvents(input: QueryInput<"events">) {
  const query = useInfiniteQuery({
    queryKey: ["events", input],
    queryFn: ({ pageParam, signal }) =>
      fetchData("events", pageParam ? { ...input, before: pageParam } : input, signal),
    initialPageParam: null as string | null,
    getNextPageParam: (last) => (last.more ? (last.rows.at(-1)?.id ?? null) : null),
    placeholderData: keepPreviousData,
  });
  return { ...query, rows: query.data?.pages.flatMap((page) => page.rows) };
}
