import { run } from "@/server/portal/action";
import { httpStatus } from "@/server/portal/errors";
import { requireUser } from "@/server/portal/session";
import { contextOf } from "@/server/portal/session-user";
import { getEnrollmentReport } from "@/server/services/enrollments/jobs";

const words = (text: string, status: number) =>
  new Response(text, { status, headers: { "Content-Type": "text/plain; charset=utf-8" } });

/** A report on a list as a file: GET /enrollments/lists/ID/full|errors?kind=upload|delete. */
export async function GET(
  req: Request,
  { params }: { params: Promise<{ id: string; report: string }> },
): Promise<Response> {
  const user = await requireUser();
  const { id, report } = await params;
  if (report !== "full" && report !== "errors") return words("There is no such report.", 404);
  const kind = new URL(req.url).searchParams.get("kind") === "delete" ? "delete" : "upload";
  const { data, error } = await run(() => getEnrollmentReport(contextOf(user), { id, kind, report }));
  if (error) return words(error.message, httpStatus(error.code));
  if (!data) return words("The list is still being gone through.", 404);
  return new Response(Buffer.from(data), {
    headers: {
      "Content-Type": "text/csv; charset=utf-8",
      "Content-Disposition": `attachment; filename="enrollments-${id.slice(0, 12)}-${report}.csv"`,
    },
  });
}
