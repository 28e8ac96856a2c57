import { z } from "zod";
import { auditChange } from "../audit/record";
import { type Context, isAdministrator, requireAdministrator } from "../context";
import { notFound } from "../errors";
import { recordEvent } from "../events/record";
import { tellGateway, transaction } from "../transaction";
import { given, nameField, validate } from "../validate";
import { detailsField, mergeDetails } from "./details";
import { accountFacts, getAccount } from "./get";

const LIFETIME = "must be 60 to 2592000 seconds";

export const accountSettingsFields = z.object({
  name: nameField(100).optional(),
  /** Devices of Pelion's kind make their own keys (EST). */
  deviceKeys: z.boolean().optional(),
  /** Seconds; null: the default. */
  registrationLifetime: z.int(LIFETIME).min(60, LIFETIME).max(2_592_000, LIFETIME).nullable().optional(),
  /** Only those that are to change; null takes one away. */
  details: detailsField.optional(),
});

export const updateAccountSettingsInput = accountSettingsFields.refine(
  (changes) => Object.values(changes).some((value) => value !== undefined),
  "must change something",
);

/** What an account has chosen for itself and its devices. */
export interface AccountSettings {
  id: string;
  name: string;
  deviceKeys: boolean;
  /** Seconds; null: an hour, or what Pelion's client was built with. */
  registrationLifetime: number | null;
  /** Whether the actor may change them. */
  mayChange: boolean;
}

/** The settings of the actor's account. */
export async function getAccountSettings(ctx: Context): Promise<AccountSettings> {
  const { id, name, deviceKeys, registrationLifetime } = await getAccount(ctx);
  return { id, name, deviceKeys, registrationLifetime, mayChange: isAdministrator(ctx.actor) };
}

/** Changes settings of the actor's account; the gateway goes by them at once. */
export async function updateAccountSettings(
  ctx: Context,
  input: z.input<typeof updateAccountSettingsInput>,
): Promise<void> {
  const id = requireAdministrator(ctx.actor);
  const { details: said, ...fields } = validate(updateAccountSettingsInput, input);
  const known = await getAccount(ctx);
  const details = said === undefined ? known.details : mergeDetails(known.details, said);
  const changes = given(fields);
  await transaction(ctx, async (tx, tell) => {
    const { count } = await tx.account.updateMany({
      where: { id },
      data: { ...changes, details: JSON.stringify(details), updatedAt: new Date(ctx.clock.now()) },
    });
    if (count === 0) throw notFound("Account");
    await auditChange(ctx, tx, {
      action: "account.updated",
      objectType: "account",
      objectId: id,
      before: accountFacts(known),
      after: accountFacts({ ...known, ...changes, details }),
    });
    const data = { ...changes, ...(said && { details: Object.keys(said).length }) };
    tell(await recordEvent(ctx, tx, "account.updated", { accountId: id, deviceId: null, data }));
  });
  await tellGateway(ctx, "account.reload", {});
}
