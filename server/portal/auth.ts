import type { AuthOptions } from "next-auth";
import CredentialsProvider from "next-auth/providers/credentials";
import { authenticate, authenticateInput } from "@/server/services/users/authenticate";
import { contextFor } from "./context";
import { isServiceError } from "./errors";
import { runtime } from "./runtime";

const EIGHT_HOURS = 8 * 60 * 60;
const WRONG = "This e-mail address and password do not belong together.";

declare module "next-auth" {
  interface Session {
    userId?: string;
    accountId?: string;
  }
  interface User {
    accountId: string;
  }
}

declare module "next-auth/jwt" {
  interface JWT {
    userId?: string;
    accountId?: string;
  }
}

/** How people sign in; made per call because the secret belongs to the instance. */
export function authOptions(): AuthOptions {
  const { sessionSecret, log } = runtime();
  return {
    secret: sessionSecret,
    session: { strategy: "jwt", maxAge: EIGHT_HOURS },
    pages: { signIn: "/login", error: "/login" },
    logger: {
      error: (code, metadata) => log.error({ code, metadata }, "sign-in failed"),
      warn: (code) => log.debug({ code }, "next-auth warns"),
      debug: () => undefined,
    },
    providers: [
      CredentialsProvider({
        credentials: { email: { type: "email" }, password: { type: "password" } },
        async authorize(credentials) {
          const input = authenticateInput.safeParse({
            email: credentials?.email,
            password: credentials?.password,
          });
          if (!input.success) throw new Error(WRONG);
          try {
            const user = await authenticate(contextFor({ kind: "system" }), input.data);
            if (!user) throw new Error(WRONG);
            return { id: user.id, accountId: user.accountId };
          } catch (error) {
            // next-auth hands the message on to the page: only words that were written for a person may pass.
            if (isServiceError(error) && error.code !== "internal_error") throw new Error(error.message);
            if (error instanceof Error && error.message === WRONG) throw error;
            log.error({ err: error }, "sign-in failed");
            throw new Error("Sign-in did not work because of a fault on this server. Its log says more.");
          }
        },
      }),
    ],
    callbacks: {
      // The cookie names the user and nothing more; everything else is read when it is needed.
      jwt({ token, user }) {
        return user ? { userId: user.id, accountId: user.accountId } : token;
      },
      session({ session, token }) {
        return { expires: session.expires, userId: token.userId, accountId: token.accountId };
      },
    },
  };
}
