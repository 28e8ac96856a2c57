import { headers } from "next/headers";
import { redirect } from "next/navigation";
import { getServerSession } from "next-auth";
import { cache } from "react";
import type { UserView } from "@/server/services/users/get";
import { authOptions } from "./auth";
import { userOfToken } from "./session-user";

/** Who is signed in with this request. */
export const currentUser = cache(async () => userOfToken(await getServerSession(authOptions())));

/** The signed-in user of a page; without one it goes to the sign-in page. */
export async function requireUser(): Promise<UserView> {
  const user = await currentUser();
  if (user) return user;
  const path = (await headers()).get("x-path") ?? "/";
  redirect(path === "/" ? "/login" : `/login?next=${encodeURIComponent(path)}`);
}
