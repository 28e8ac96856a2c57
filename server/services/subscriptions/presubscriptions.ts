import { z } from "zod";
import { auditChange } from "../audit/record";
import { type Context, ownerOf } from "../context";
import { tellGateway, transaction } from "../transaction";
import { validate } from "../validate";

const MAX_ENTRIES = 1024;
const MAX_PATHS = 256;

/** A text that may end in `*`, for everything that begins like it. */
const pattern = (max: number) =>
  z
    .string()
    .trim()
    .max(max, `may have at most ${max} characters`)
    .regex(/^[^*]*\*?$/, "may have a * at its end only");

export const setPresubscriptionsInput = z
  .object({
    /** In the order in which they are to be shown; none: there are none any longer. */
    entries: z
      .array(
        z.object({
          /** Device ID or endpoint name. */
          endpointName: pattern(64).optional(),
          endpointType: z.string().trim().max(64, "may have at most 64 characters").optional(),
          /** None: every observable resource. */
          resourcePaths: z
            .array(pattern(128).transform((path) => `/${path.split("/").filter(Boolean).join("/")}`))
            .default([]),
        }),
      )
      .max(MAX_ENTRIES, `there may be at most ${MAX_ENTRIES}`),
  })
  .refine(
    ({ entries }) => new Set(entries.flatMap(({ resourcePaths }) => resourcePaths)).size <= MAX_PATHS,
    `there may be at most ${MAX_PATHS} different resource paths`,
  );

/** What an owner wants of devices that register: every condition that is given has to match. */
export interface PresubscriptionView {
  endpointName: string | null;
  endpointType: string | null;
  resourcePaths: string[];
}

/** The pre-subscriptions of who asks. */
export async function listPresubscriptions(ctx: Context): Promise<PresubscriptionView[]> {
  const { accountId, ownerId } = ownerOf(ctx.actor);
  const rows = await ctx.db.presubscription.findMany({
    where: { accountId, ownerId },
    orderBy: { position: "asc" },
    select: { endpointName: true, endpointType: true, resourcePaths: true },
  });
  return rows.map((row) => ({ ...row, resourcePaths: JSON.parse(row.resourcePaths) as string[] }));
}

/** Replaces the pre-subscriptions of who asks; they work from the next registration or update of a device on. */
export async function setPresubscriptions(
  ctx: Context,
  input: z.input<typeof setPresubscriptionsInput>,
): Promise<void> {
  const { accountId, ownerId } = ownerOf(ctx.actor);
  const { entries } = validate(setPresubscriptionsInput, input);
  const before = await listPresubscriptions(ctx);
  const after = entries.map((entry) => ({
    endpointName: entry.endpointName || null,
    endpointType: entry.endpointType || null,
    resourcePaths: [...new Set(entry.resourcePaths)],
  }));
  if (before.length > 0 || after.length > 0)
    await transaction(ctx, async (tx) => {
      await tx.presubscription.deleteMany({ where: { accountId, ownerId } });
      await tx.presubscription.createMany({
        data: after.map((entry, position) => ({
          ...entry,
          ownerId,
          accountId,
          position,
          resourcePaths: JSON.stringify(entry.resourcePaths),
        })),
      });
      await auditChange(ctx, tx, {
        action: "presubscriptions.updated",
        objectType: "presubscriptions",
        objectId: ownerId,
        before: { entries: before.map((entry) => ({ ...entry })) },
        after: { entries: after },
      });
    });
  await tellGateway(ctx, "owner.reload", { accountId, ownerId });
}
