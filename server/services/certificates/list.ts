import { type Context, memberAccount } from "../context";
import { type CertificateView, certificateSelect, certificateView } from "./view";

/** The certificates the account trusts, the newest first; there are at most fifty. */
export async function listCertificates(ctx: Context): Promise<CertificateView[]> {
  const accountId = memberAccount(ctx.actor);
  const rows = await ctx.db.trustedCertificate.findMany({
    where: { accountId },
    orderBy: { id: "desc" },
    select: certificateSelect,
  });
  return rows.map(certificateView);
}
