import { z } from "zod";
import { type Context, isAdministrator, memberAccount, requireAdministrator } from "../context";
import { notFound } from "../errors";
import { recordEvent } from "../events/record";
import { tellGateway, transaction } from "../transaction";
import { nameField, validate } from "../validate";

const LIFETIME = "must be 60 to 2592000 seconds";

export const updateAccountSettingsInput = z
  .object({
    name: nameField(100).optional(),
    /** Devices of Pelion's kind make their own keys (EST). */
    deviceKeys: z.boolean().optional(),
    /** Seconds; null: the default. */
    registrationLifetime: z.int(LIFETIME).min(60, LIFETIME).max(2_592_000, LIFETIME).nullable().optional(),
  })
  .refine((changes) => Object.values(changes).some((value) => value !== undefined), "must change something");

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
  const id = memberAccount(ctx.actor);
  const account = await ctx.db.account.findUnique({
    where: { id },
    select: { id: true, name: true, deviceKeys: true, registrationLifetime: true },
  });
  if (!account) throw notFound("Account");
  return { ...account, mayChange: isAdministrator(ctx.actor) };
}

/** Changes settings of the actor's account; the gateway goes by them at once. */
export async function updateAccountSettings(
  ctx: Context,
  input: z.input<typeof updateAccountSettingsInput>,
): Promise<void> {
  const id = requireAdministrator(ctx.actor);
  const { name, deviceKeys, registrationLifetime } = validate(updateAccountSettingsInput, input);
  const changes = {
    ...(name !== undefined && { name }),
    ...(deviceKeys !== undefined && { deviceKeys }),
    ...(registrationLifetime !== undefined && { registrationLifetime }),
  };
  await transaction(ctx, async (tx, tell) => {
    const { count } = await tx.account.updateMany({
      where: { id },
      data: { ...changes, updatedAt: new Date(ctx.clock.now()) },
    });
    if (count === 0) throw notFound("Account");
    tell(await recordEvent(ctx, tx, "account.updated", { accountId: id, deviceId: null, data: changes }));
  });
  await tellGateway(ctx, "account.reload", {});
}
