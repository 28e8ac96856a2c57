import { z } from "zod";
import { auditChange } from "../audit/record";
import { actorLabel, type Context, memberAccount } from "../context";
import { abilitiesOf } from "../devices/abilities";
import { notFound, ServiceError } from "../errors";
import { newId } from "../ids";
import { transaction } from "../transaction";
import { idField, validate } from "../validate";
import { INTERRUPTED_MS, interrupted } from "./recover";
import { type Renewal, renewalSelect, renewalView } from "./view";

/** The only certificate that devices renew: the one they are known by to the LwM2M service. */
const CERTIFICATE = "LWM2M";

export const startRenewalInput = z.object({ deviceId: idField, certificateName: z.string() });

/** Asks a device to renew its certificate; what comes of it is written down behind the caller's back. */
export async function startRenewal(ctx: Context, input: z.input<typeof startRenewalInput>): Promise<Renewal> {
  const accountId = memberAccount(ctx.actor);
  const { deviceId, certificateName } = validate(startRenewalInput, input);
  const device = await ctx.db.device.findFirst({
    where: { id: deviceId, accountId },
    select: { registration: { select: { objectLinks: true, lwm2mVersion: true } } },
  });
  if (!device) throw notFound("Device");
  if (certificateName !== CERTIFICATE) throw notFound("Certificate");
  const reason = abilitiesOf(device.registration).renewCertificate;
  if (reason) throw new ServiceError("locked", reason);
  const at = ctx.clock.now();
  const id = newId(at);
  const made = await transaction(ctx, async (tx) => {
    await tx.certificateEnrollment.updateMany({
      where: { deviceId, status: "new", createdAt: { lt: new Date(at - INTERRUPTED_MS) } },
      data: { ...interrupted, updatedAt: new Date(at) },
    });
    if (await tx.certificateEnrollment.count({ where: { deviceId, status: "new" } }))
      throw new ServiceError("conflict", "A renewal of this certificate is under way already.");
    const row = await tx.certificateEnrollment.create({
      data: { id, accountId, deviceId, certificateName, createdAt: new Date(at), updatedAt: new Date(at) },
      select: renewalSelect,
    });
    await auditChange(ctx, tx, {
      action: "certificate.renewal-started",
      objectType: "device",
      objectId: deviceId,
      before: null,
      after: { certificateName, renewalId: id },
    });
    return renewalView(row);
  });
  void finish(ctx, { id, accountId, deviceId });
  return made;
}

async function finish(ctx: Context, row: { id: string; accountId: string; deviceId: string }): Promise<void> {
  const { id, accountId, deviceId } = row;
  const { ok, message } = await ctx.bus
    .request("device.renew", { accountId, deviceId, actor: actorLabel(ctx.actor) })
    .catch((error: unknown) => ({
      ok: false,
      message: error instanceof ServiceError ? error.message : "There was a fault on this server.",
    }));
  await ctx.db.certificateEnrollment
    .updateMany({
      where: { id, status: "new" },
      data: {
        status: "completed",
        result: ok ? "success" : "failure",
        detail: message || null,
        updatedAt: new Date(ctx.clock.now()),
      },
    })
    // The process is going: the next one says that it was interrupted.
    .catch(() => {});
}
