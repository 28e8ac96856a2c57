import {
  type BlockCategory,
  blockCategories,
  findBlockCategory,
} from "@/server/services/suspension/categories";
import { resumeDevice, suspendDevice } from "@/server/services/suspension/suspend";
import { operation } from "../operation";
import { list, pageQuery } from "../paging";
import { iso } from "../serialize";
import { dateTime, id, listOf, text, z } from "../zod";

const tag = "Suspension of devices";
const params = z.object({ id });

const body = z
  .object({
    category: z.string().openapi({ enum: blockCategories.map(({ reference }) => reference) }),
    description: text(2000),
  })
  .openapi("DeviceSuspension");

const category = z
  .object({
    object: z.literal("device-block-category"),
    reference: z.string(),
    description: z.string(),
    updated_at: dateTime,
  })
  .openapi("DeviceBlockCategory");

const serialize = ({ reference, description, updatedAt }: BlockCategory): z.input<typeof category> => ({
  object: "device-block-category",
  reference,
  description,
  updated_at: iso(updatedAt),
});

export const deviceSuspension = [
  operation({
    method: "post",
    path: "/v3/devices/{id}/suspend",
    tag,
    scope: "manage",
    summary: "Block a device until it is resumed",
    params,
    body,
    status: 204,
    handle: ({ ctx, params, body }) =>
      suspendDevice(ctx, {
        id: params.id,
        category: body.category,
        description: body.description ?? undefined,
      }),
  }),
  operation({
    method: "post",
    path: "/v3/devices/{id}/resume",
    tag,
    scope: "manage",
    summary: "Let a suspended device come back",
    params,
    body,
    status: 204,
    handle: ({ ctx, params, body }) =>
      resumeDevice(ctx, {
        id: params.id,
        category: body.category,
        description: body.description ?? undefined,
      }),
  }),
  operation({
    method: "get",
    path: "/v3/device-block-categories",
    tag,
    scope: "read",
    summary: "List the reasons for which devices are blocked",
    query: pageQuery.extend({ reference__eq: z.string().optional() }),
    status: 200,
    response: listOf("DeviceBlockCategoryList", category),
    // All in one page, whatever is asked for.
    handle: async ({ query: { reference__eq: wanted, ...query } }) => {
      const rows = blockCategories.filter(({ reference }) => (wanted ?? reference) === reference);
      return list(query, { rows, more: false, total: rows.length }, serialize);
    },
  }),
  operation({
    method: "get",
    path: "/v3/device-block-categories/{block_category_reference}",
    tag,
    scope: "read",
    summary: "Get a reason for which devices are blocked",
    params: z.object({ block_category_reference: z.string() }),
    status: 200,
    response: category,
    handle: async ({ params }) =>
      serialize(findBlockCategory({ reference: params.block_category_reference })),
  }),
];
