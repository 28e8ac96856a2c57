import { z } from "zod";
import { findApiKey } from "../api-keys/search";
import { updateApiKey } from "../api-keys/update";
import { updateApplication } from "../applications/change";
import { findApplication } from "../applications/search";
import { type Context, requireAdministrator } from "../context";
import { notFound, ServiceError } from "../errors";
import { getUser } from "../users/get";
import { updateUser } from "../users/update";
import { idField, validate } from "../validate";
import { type Role, roleOfGroup } from "./list";

/** What can be in a policy group. */
export const memberKinds = ["user", "apiKey", "application"] as const;
export type MemberKind = (typeof memberKinds)[number];

interface Verbs {
  find(ctx: Context, input: { id: string }): Promise<{ role: Role }>;
  change(ctx: Context, input: { id: string; role: Role }): Promise<void>;
}

const verbs: Record<MemberKind, Verbs> = {
  user: { find: getUser, change: updateUser },
  apiKey: { find: findApiKey, change: updateApiKey },
  application: { find: findApplication, change: updateApplication },
};

const ids = z.array(idField).max(1000, "may hold at most 1000").default([]);

export const changeMembersInput = z.object({
  groupId: idField,
  way: z.enum(["add", "remove"]),
  user: ids,
  apiKey: ids,
  application: ids,
});

/** Puts members into a policy group, or takes them out; nothing is done when one of them is not there. */
export async function changeMembers(ctx: Context, input: z.input<typeof changeMembersInput>): Promise<void> {
  const accountId = requireAdministrator(ctx.actor);
  const { groupId, way, ...given } = validate(changeMembersInput, input);
  const group = roleOfGroup(accountId, groupId);
  if (!group) throw notFound("Policy group");
  const members = memberKinds.flatMap((kind) => given[kind].map((id) => ({ kind, id })));
  const known = await Promise.all(members.map(({ kind, id }) => verbs[kind].find(ctx, { id })));
  const changes = members.map((member, index) => {
    const { role } = known[index] as { role: Role };
    return { ...member, role, becomes: roleAfter(role, way, [group]) };
  });
  for (const { kind, id, role, becomes } of changes)
    if (becomes !== role) await verbs[kind].change(ctx, { id, role: becomes });
}

export const changeGroupsInput = z.object({
  kind: z.enum(memberKinds),
  id: idField,
  way: z.enum(["add", "remove"]),
  /** What the groups stand for. */
  roles: z.array(z.enum(["administrator", "developer"])),
});

/** The same for several groups of one member. */
export async function changeGroups(ctx: Context, input: z.input<typeof changeGroupsInput>): Promise<void> {
  requireAdministrator(ctx.actor);
  const { kind, id, way, roles } = validate(changeGroupsInput, input);
  const { role } = await verbs[kind].find(ctx, { id });
  const becomes = roleAfter(role, way, roles);
  if (becomes !== role) await verbs[kind].change(ctx, { id, role: becomes });
}

/**
 * What a member becomes. Everything is in one of the two groups: an administrator may do what a developer may, and
 * whoever is taken out of Administrators is a developer.
 */
function roleAfter(role: Role, way: "add" | "remove", groups: readonly Role[]): Role {
  if (way === "add") return groups.includes("administrator") ? "administrator" : role;
  const left = groups.includes("developer") && (role === "developer" || groups.includes("administrator"));
  if (left)
    throw new ServiceError(
      "bad_request",
      "Everything is in one of the two policy groups. To take away its rights, make it inactive or delete it.",
    );
  return groups.includes("administrator") ? "developer" : role;
}
