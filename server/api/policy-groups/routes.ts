import { apiKeyFilters, searchApiKeys } from "@/server/services/api-keys/search";
import { applicationFilters, searchApplications } from "@/server/services/applications/search";
import type { Context } from "@/server/services/context";
import type { Filter, FilterFields } from "@/server/services/filter";
import { getGroup } from "@/server/services/groups/list";
import { changeMembers, type MemberKind } from "@/server/services/groups/members";
import type { PageInput } from "@/server/services/page";
import { searchUsers, userFilters } from "@/server/services/users/search";
import { apiKeyList } from "../api-keys/schemas";
import { serializeApiKey } from "../api-keys/serialize";
import { applicationList } from "../applications/schemas";
import { serializeApplication } from "../applications/serialize";
import { type Call, type Operation, operation } from "../operation";
import { list, type PageQuery, pageOf, pageQuery } from "../paging";
import { userList } from "../users/schemas";
import { serializeUser } from "../users/serialize";
import { id, z } from "../zod";
import { groupList, groupPage, groupResponse, oneGroup } from "./groups";

const tag = "Policy groups";
const params = z.object({ group_id: id });
type Params = z.output<typeof params>;

const ids = z.array(id).max(1000).nullish();
const subjects = z
  .object({ users: ids, apikeys: ids, applications: ids })
  .openapi("PolicyGroupMembers", { description: "Ids of what is to be put into the group, or taken out." });
const names = { user: "users", apiKey: "apikeys", application: "applications" } as const;

type Change = Call<Params, unknown, z.output<typeof subjects>>;

/** Changes members of all kinds, or of one. */
const change =
  (way: "add" | "remove", only?: MemberKind) =>
  async ({ ctx, params, body }: Change) => {
    const of = (kind: MemberKind) => (only === undefined || only === kind ? (body[names[kind]] ?? []) : []);
    await changeMembers(ctx, {
      groupId: params.group_id,
      way,
      user: of("user"),
      apiKey: of("apiKey"),
      application: of("application"),
    });
    return oneGroup(ctx, params.group_id);
  };

/** The page of those who are in the group. */
async function inGroup(
  { ctx, params, query, filters }: Call<Params, PageQuery, unknown>,
  search: (ctx: Context, input: PageInput) => Promise<Parameters<typeof list>[1]>,
  serialize: (row: never) => unknown,
) {
  const { role } = await getGroup(ctx, { id: params.group_id });
  const only: Filter = { field: "role", operator: "eq", value: role };
  const page = await search(ctx, pageOf(query, [...filters, only], true));
  return list(query, page, serialize as (row: unknown) => unknown);
}

interface Members {
  kind: MemberKind;
  segment: string;
  noun: string;
  filters: FilterFields;
  response: z.ZodType;
  /** The deprecated way as well: POST and DELETE of the members themselves. */
  deprecated: boolean;
  page(call: Call<Params, PageQuery, unknown>): Promise<unknown>;
}

const kinds: readonly Members[] = [
  {
    kind: "user",
    segment: "users",
    noun: "users",
    filters: userFilters,
    response: userList,
    deprecated: true,
    page: (call) => inGroup(call, searchUsers, serializeUser),
  },
  {
    kind: "apiKey",
    segment: "api-keys",
    noun: "API keys",
    filters: apiKeyFilters,
    response: apiKeyList,
    deprecated: true,
    page: (call) =>
      inGroup(call, searchApiKeys, serializeApiKey.bind(null, call.ctx.actor.accountId) as never),
  },
  {
    kind: "application",
    segment: "applications",
    noun: "applications",
    filters: applicationFilters,
    response: applicationList,
    deprecated: false,
    page: (call) => inGroup(call, searchApplications, serializeApplication),
  },
];

const membersOf = ({ kind, segment, noun, filters, response, deprecated, page }: Members): Operation[] => {
  const path = `/v3/policy-groups/{group_id}/${segment}`;
  const changing = (method: "post" | "delete", suffix: string, way: "add" | "remove") =>
    operation({
      method,
      path: path + suffix,
      tag,
      scope: "credentials",
      summary: `${way === "add" ? "Put" : "Take"} ${noun} ${way === "add" ? "into" : "out of"} a policy group`,
      params,
      body: subjects,
      status: 200,
      response: groupResponse,
      handle: change(way, kind),
    });
  return [
    operation({
      method: "get",
      path,
      tag,
      scope: "read",
      summary: `List the ${noun} of a policy group`,
      params,
      query: pageQuery,
      filters,
      status: 200,
      response,
      handle: page,
    }),
    ...(deprecated ? [changing("post", "", "add"), changing("delete", "", "remove")] : []),
    changing("post", "/add", "add"),
    changing("post", "/remove", "remove"),
  ];
};

export const policyGroups: Operation[] = [
  operation({
    method: "get",
    path: "/v3/policy-groups",
    tag,
    scope: "read",
    summary: "List the two policy groups",
    query: pageQuery.extend({ name__eq: z.string().optional() }),
    status: 200,
    response: groupList,
    handle: ({ ctx, query }) =>
      groupPage(ctx, ({ name }) => query.name__eq === undefined || query.name__eq === name),
  }),
  operation({
    method: "get",
    path: "/v3/policy-groups/{group_id}",
    tag,
    scope: "read",
    summary: "Get a policy group",
    params,
    status: 200,
    response: groupResponse,
    handle: ({ ctx, params }) => oneGroup(ctx, params.group_id),
  }),
  operation({
    method: "post",
    path: "/v3/policy-groups/{group_id}",
    tag,
    scope: "credentials",
    summary: "Put members of any kind into a policy group",
    params,
    body: subjects,
    status: 200,
    response: groupResponse,
    handle: change("add"),
  }),
  ...kinds.flatMap(membersOf),
];
