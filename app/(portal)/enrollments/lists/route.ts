import { run } from "@/server/portal/action";
import { type Failure, httpStatus } from "@/server/portal/errors";
import { currentUser } from "@/server/portal/session";
import { contextOf } from "@/server/portal/session-user";
import { createEnrollmentJob, MAX_LIST_BYTES } from "@/server/services/enrollments/jobs";

const fail = (error: Failure) => Response.json({ error }, { status: httpStatus(error.code) });

/** Takes a list of enrollment identities: POST /enrollments/lists?kind=upload|delete with the file as its body. */
export async function POST(req: Request): Promise<Response> {
  const user = await currentUser();
  if (!user) return fail({ code: "unauthorized", message: "You are signed out. Sign in again.", fields: [] });
  // Only a page of this portal may send one: a form on another site cannot have this type.
  if (req.headers.get("content-type") !== "text/csv")
    return fail({ code: "bad_request", message: "This takes text/csv.", fields: [] });
  const list = await readAtMost(req, MAX_LIST_BYTES);
  if (!list) return fail({ code: "validation_error", message: "The list is longer than 10 MB.", fields: [] });
  const kind = new URL(req.url).searchParams.get("kind") === "delete" ? "delete" : "upload";
  const result = await run(() => createEnrollmentJob(contextOf(user), { kind, list }));
  return result.error ? fail(result.error) : Response.json({ data: result.data }, { status: 201 });
}

/** The body, or null as soon as it is too long. */
async function readAtMost(req: Request, max: number): Promise<Uint8Array<ArrayBuffer> | null> {
  const parts: Uint8Array[] = [];
  let length = 0;
  if (req.body)
    for await (const part of req.body as unknown as AsyncIterable<Uint8Array>) {
      length += part.length;
      if (length > max) return null;
      parts.push(part);
    }
  return new Uint8Array(Buffer.concat(parts));
}
