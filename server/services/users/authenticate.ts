import { z } from "zod";
import type { Clock } from "@/server/clock";
import type { Context } from "../context";
import { ServiceError } from "../errors";
import { recordEvent } from "../events/record";
import { transaction } from "../transaction";
import { validate } from "../validate";
import { verifyPassword } from "./password";

export const authenticateInput = z.object({
  email: z.string().trim().toLowerCase().max(254),
  password: z.string().max(256),
});

/** Who signed in. */
export interface SignedIn {
  id: string;
  accountId: string;
  email: string;
  name: string;
  role: "administrator" | "developer";
}

/** Attempts on one address before it has to wait, against guessing. */
const ATTEMPTS = 10;
const WINDOW_MS = 15 * 60_000;
/** Addresses remembered, against a flood of invented ones; the oldest is forgotten first. */
const REMEMBERED = 10_000;

const attempts = new WeakMap<Clock, Map<string, { count: number; until: number }>>();

function countAttempt(clock: Clock, email: string): void {
  const known = attempts.get(clock) ?? new Map<string, { count: number; until: number }>();
  attempts.set(clock, known);
  const now = clock.now();
  const entry = known.get(email);
  const current = entry && entry.until > now ? entry : { count: 0, until: now + WINDOW_MS };
  if (current.count >= ATTEMPTS) {
    const minutes = Math.ceil((current.until - now) / 60_000);
    throw new ServiceError(
      "limit_exceeded",
      `Too many attempts for this e-mail address. Try again in ${minutes} minute${minutes === 1 ? "" : "s"}.`,
    );
  }
  current.count += 1;
  known.delete(email);
  known.set(email, current);
  if (known.size > REMEMBERED) {
    const oldest = known.keys().next().value;
    if (oldest !== undefined) known.delete(oldest);
  }
}

/** The user with this address and password, or null; takes the same time for an address nobody has. */
export async function authenticate(
  ctx: Context,
  input: z.input<typeof authenticateInput>,
): Promise<SignedIn | null> {
  const { email, password } = validate(authenticateInput, input);
  countAttempt(ctx.clock, email);
  const user = await ctx.db.user.findUnique({
    where: { email },
    select: {
      id: true,
      accountId: true,
      email: true,
      name: true,
      role: true,
      status: true,
      passwordHash: true,
      account: { select: { status: true } },
    },
  });
  // Who was invited and has not come yet has no hash.
  const matches = await verifyPassword(user?.passwordHash || null, password);
  if (!user || !matches || user.status !== "ACTIVE" || user.account.status !== "ACTIVE") return null;
  attempts.get(ctx.clock)?.delete(email);
  const role = user.role === "administrator" ? "administrator" : "developer";
  const signedIn = {
    id: user.id,
    accountId: user.accountId,
    email: user.email,
    name: user.name,
    role,
  } as const;
  await transaction(ctx, async (tx, tell) => {
    await tx.user.updateMany({ where: { id: user.id }, data: { lastLoginAt: new Date(ctx.clock.now()) } });
    tell(
      await recordEvent({ ...ctx, actor: { kind: "user", ...signedIn } }, tx, "user.signed-in", {
        accountId: user.accountId,
        deviceId: null,
        data: { userId: user.id, email: user.email },
      }),
    );
  });
  return signedIn;
}
