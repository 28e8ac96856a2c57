import type { z } from "zod";
import type { Context } from "@/server/services/context";
import { type Failure, INTERNAL, toFailure } from "./errors";
import { runtime } from "./runtime";
import { currentUser } from "./session";
import { contextOf } from "./session-user";

/** How a server action ends. */
export type ActionResult<T> = { data: T; error?: undefined } | { data?: undefined; error: Failure };

/** Makes a server action of a verb: session, input and errors are looked after here, every time. */
export function action<S extends z.ZodType, T>(
  schema: S,
  verb: (ctx: Context, input: z.output<S>) => Promise<T>,
): (input: z.input<S>) => Promise<ActionResult<T>> {
  return async (input) => {
    const user = await currentUser();
    if (!user)
      return { error: { code: "unauthorized", message: "You are signed out. Sign in again.", fields: [] } };
    const parsed = schema.safeParse(input);
    if (!parsed.success) return { error: invalid(parsed.error) };
    return run(() => verb(contextOf(user), parsed.data));
  };
}

/** Turns what a verb throws on purpose into words; anything else is logged and not shown. */
export async function run<T>(verb: () => Promise<T>): Promise<ActionResult<T>> {
  try {
    return { data: await verb() };
  } catch (error) {
    const failure = toFailure(error);
    if (failure) return { error: failure };
    runtime().log.error({ err: error }, "a server action failed");
    return { error: INTERNAL };
  }
}

export function invalid(error: z.ZodError): Failure {
  const fields = error.issues.map((issue) => {
    // A bad key of a record hides its own reasons one level down.
    const reason = issue.code === "invalid_key" ? issue.issues[0] : issue;
    return { name: issue.path.join("."), message: reason?.message ?? issue.message };
  });
  const [first] = fields;
  const message = first ? `${first.name.split(".").at(-1)} ${first.message}.` : "The input is not valid.";
  return { code: "validation_error", message: message.trim(), fields };
}
