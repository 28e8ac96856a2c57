import { queries } from "@/server/portal/queries";
import { requireUser } from "@/server/portal/session";
import { contextOf } from "@/server/portal/session-user";

/** The server CA as a file, for a client that does not come with a bundle. */
export async function GET(): Promise<Response> {
  const { caPem } = await queries.server.run(contextOf(await requireUser()), {});
  return new Response(caPem, {
    headers: {
      "Content-Type": "application/x-pem-file",
      "Content-Disposition": 'attachment; filename="gangway-server-ca.pem"',
    },
  });
}
