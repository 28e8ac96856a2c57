import { findApiKey } from "@/server/services/api-keys/search";
import { notFound } from "@/server/services/errors";
import { createUser } from "@/server/services/users/create";
import { getUser } from "@/server/services/users/get";
import { findInvitation, searchInvitations } from "@/server/services/users/invitations";
import { removeInvitation, removeUser } from "@/server/services/users/remove";
import { searchUsers, userFilters } from "@/server/services/users/search";
import { updateUser } from "@/server/services/users/update";
import { type Operation, operation } from "../operation";
import { list, pageOf, pageQuery } from "../paging";
import { roleOfGroups } from "../policy-groups/groups";
import { memberships } from "../policy-groups/memberships";
import { id, z } from "../zod";
import {
  createInvitationBody,
  createUserBody,
  invitationList,
  invitationResponse,
  updateUserBody,
  userList,
  userResponse,
} from "./schemas";
import { invitationUrl, serializeInvitation, serializeUser } from "./serialize";

const tag = "Users";
const params = z.object({ user_id: id });

export const users: Operation[] = [
  operation({
    method: "get",
    path: "/v3/users",
    tag,
    scope: "read",
    summary: "List users",
    query: pageQuery,
    filters: userFilters,
    status: 200,
    response: userList,
    handle: async ({ ctx, query, filters }) =>
      list(query, await searchUsers(ctx, pageOf(query, filters, true)), serializeUser),
  }),
  operation({
    method: "post",
    path: "/v3/users",
    tag,
    scope: "credentials",
    summary: "Make a user",
    body: createUserBody,
    status: 201,
    response: userResponse,
    handle: async (call) => {
      const { ctx, body } = call;
      const { id, invited } = await createUser(ctx, {
        email: body.email,
        name: body.full_name || undefined,
        password: body.password || undefined,
        role: roleOfGroups(ctx, body.groups),
        username: body.username || null,
        phoneNumber: body.phone_number || null,
        address: body.address || null,
      });
      const user = serializeUser(await getUser(ctx, { id }));
      return { ...user, ...(invited && { invitation_url: invitationUrl(call, invited) }) };
    },
  }),
  operation({
    method: "get",
    path: "/v3/users/me",
    tag,
    scope: "read",
    summary: "The user whom the key of this request acts for",
    status: 200,
    response: userResponse,
    handle: async ({ ctx }) => {
      const { ownerId } = await findApiKey(ctx, { id: ctx.actor.id });
      if (!ownerId) throw notFound("User");
      return serializeUser(await getUser(ctx, { id: ownerId }));
    },
  }),
  operation({
    method: "get",
    path: "/v3/users/{user_id}",
    tag,
    scope: "read",
    summary: "Get a user",
    params,
    status: 200,
    response: userResponse,
    handle: async ({ ctx, params }) => serializeUser(await getUser(ctx, { id: params.user_id })),
  }),
  operation({
    method: "put",
    path: "/v3/users/{user_id}",
    tag,
    scope: "credentials",
    summary: "Change a user; one made inactive is signed out",
    params,
    body: updateUserBody,
    status: 200,
    response: userResponse,
    handle: async ({ ctx, params, body }) => {
      const target = { id: params.user_id };
      const role = roleOfGroups(ctx, body.groups);
      const changes = {
        ...(body.email && { email: body.email }),
        ...(body.full_name && { name: body.full_name }),
        ...(role && { role }),
        // The other two are what they are until they have a password.
        ...((body.status === "ACTIVE" || body.status === "INACTIVE") && { status: body.status }),
        ...(body.username !== undefined && { username: body.username || null }),
        ...(body.phone_number !== undefined && { phoneNumber: body.phone_number || null }),
        ...(body.address !== undefined && { address: body.address || null }),
      };
      if (Object.keys(changes).length > 0) await updateUser(ctx, { ...target, ...changes });
      return serializeUser(await getUser(ctx, target));
    },
  }),
  operation({
    method: "delete",
    path: "/v3/users/{user_id}",
    tag,
    scope: "credentials",
    summary: "Delete a user",
    params,
    status: 204,
    handle: ({ ctx, params }) => removeUser(ctx, { id: params.user_id }),
  }),
  ...memberships({
    kind: "user",
    path: "/v3/users/{user_id}",
    tag,
    noun: "a user",
    params,
    idOf: (_, { user_id = "" }) => user_id,
    role: async (ctx, id) => (await getUser(ctx, { id })).role,
    answer: { response: userResponse, of: async (ctx, id) => serializeUser(await getUser(ctx, { id })) },
    deprecated: true,
  }),
];

const invitationParams = z.object({ invitation_id: id });

export const invitations: Operation[] = [
  operation({
    method: "get",
    path: "/v3/user-invitations",
    tag,
    scope: "read",
    summary: "List invitations that nobody has followed yet",
    query: pageQuery,
    status: 200,
    response: invitationList,
    handle: async ({ ctx, query }) =>
      list(query, await searchInvitations(ctx, pageOf(query, [], true)), serializeInvitation),
  }),
  operation({
    method: "post",
    path: "/v3/user-invitations",
    tag,
    scope: "credentials",
    summary: "Invite a user by a link to hand on",
    body: createInvitationBody,
    status: 201,
    response: invitationResponse,
    handle: async (call) => {
      const { ctx, body } = call;
      const { invited } = await createUser(ctx, {
        email: body.email,
        role: roleOfGroups(ctx, body.groups),
        waiting: "INVITED",
        validForDays: body.valid_for_days ?? undefined,
      });
      if (!invited) throw notFound("Invitation");
      const invitation = serializeInvitation(await findInvitation(ctx, { id: invited.id }));
      return { ...invitation, url: invitationUrl(call, invited) };
    },
  }),
  operation({
    method: "get",
    path: "/v3/user-invitations/{invitation_id}",
    tag,
    scope: "read",
    summary: "Get an invitation",
    params: invitationParams,
    status: 200,
    response: invitationResponse,
    handle: async ({ ctx, params }) =>
      serializeInvitation(await findInvitation(ctx, { id: params.invitation_id })),
  }),
  operation({
    method: "delete",
    path: "/v3/user-invitations/{invitation_id}",
    tag,
    scope: "credentials",
    summary: "Take an invitation back",
    params: invitationParams,
    status: 204,
    handle: ({ ctx, params }) => removeInvitation(ctx, { id: params.invitation_id }),
  }),
];
