import type { Role } from "@/server/services/groups/list";
import { changeGroups, type MemberKind } from "@/server/services/groups/members";
import { type Call, type Operation, operation } from "../operation";
import { pageQuery } from "../paging";
import { id, z } from "../zod";
import { groupList, ownGroups, rolesOfGroups } from "./groups";

type Context = Call<unknown, unknown, unknown>["ctx"];

/** A list of groups: alone, or in an object. */
const body = z
  .union([z.array(id).max(10), z.object({ groups: z.array(id).max(10) }).transform(({ groups }) => groups)])
  .openapi("PolicyGroupIds", { description: "Ids of policy groups, alone or as `groups` of an object." });

/** The operations on the policy groups of something. */
export function memberships(of: {
  kind: MemberKind;
  /** For instance /v3/users/{user_id}. */
  path: string;
  tag: string;
  noun: string;
  /** The id in the path, or of the key itself. */
  params?: z.ZodObject;
  idOf(ctx: Context, params: Record<string, string>): string;
  role(ctx: Context, id: string): Promise<Role>;
  /** What a change is answered with; left out: nothing. */
  answer?: { response: z.ZodType; of(ctx: Context, id: string): Promise<unknown> };
  /** Also the deprecated way: POST and DELETE of the groups themselves. */
  deprecated: boolean;
}): Operation[] {
  const { kind, path, tag, noun, answer } = of;
  const change = (method: "post" | "delete", suffix: string, way: "add" | "remove") =>
    operation({
      method,
      path: `${path}/groups${suffix}`,
      tag,
      scope: "credentials",
      summary: `${way === "add" ? "Put" : "Take"} ${noun} ${way === "add" ? "into" : "out of"} policy groups`,
      ...(of.params && { params: of.params }),
      body,
      status: answer ? 200 : 204,
      ...(answer && { response: answer.response }),
      handle: async ({ ctx, params, body: groups }) => {
        const found = of.idOf(ctx, (params ?? {}) as Record<string, string>);
        await changeGroups(ctx, { kind, id: found, way, roles: rolesOfGroups(ctx, groups) });
        return answer?.of(ctx, found);
      },
    });
  return [
    operation({
      method: "get",
      path: `${path}/groups`,
      tag,
      scope: "read",
      summary: `List the policy groups of ${noun}`,
      ...(of.params && { params: of.params }),
      query: pageQuery,
      status: 200,
      response: groupList,
      handle: async ({ ctx, params }) =>
        ownGroups(ctx, await of.role(ctx, of.idOf(ctx, (params ?? {}) as Record<string, string>))),
    }),
    ...(of.deprecated ? [change("post", "", "add"), change("delete", "", "remove")] : []),
    change("post", "/add", "add"),
    change("post", "/remove", "remove"),
  ];
}
