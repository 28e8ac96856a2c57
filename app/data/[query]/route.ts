import { invalid, run } from "@/server/portal/action";
import { type Failure, httpStatus } from "@/server/portal/errors";
import { type QueryName, queries } from "@/server/portal/queries";
import { currentUser } from "@/server/portal/session";
import { contextOf } from "@/server/portal/session-user";

const fail = (error: Failure) => Response.json({ error }, { status: httpStatus(error.code) });
const isQuery = (name: string): name is QueryName => Object.hasOwn(queries, name);

/** What pages read again after they were rendered: GET /data/NAME?input=JSON. */
export async function GET(
  req: Request,
  { params }: { params: Promise<{ query: string }> },
): Promise<Response> {
  const user = await currentUser();
  if (!user) return fail({ code: "unauthorized", message: "You are signed out. Sign in again.", fields: [] });
  const { query } = await params;
  if (!isQuery(query)) return fail({ code: "not_found", message: "There is no such query.", fields: [] });
  let given: unknown;
  try {
    given = JSON.parse(new URL(req.url).searchParams.get("input") ?? "{}");
  } catch {
    return fail({ code: "bad_request", message: "The input is not JSON.", fields: [] });
  }
  const input = queries[query].input.safeParse(given);
  if (!input.success) return fail(invalid(input.error));
  const result = await run<unknown>(() => queries[query].run(contextOf(user), input.data as never));
  return result.error
    ? fail(result.error)
    : Response.json(result.data, { headers: { "Cache-Control": "no-store" } });
}
