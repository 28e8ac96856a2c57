import type { Metadata } from "next";
import { redirect } from "next/navigation";
import { LoginForm } from "@/components/auth/login-form";
import { currentUser } from "@/server/portal/session";

export const metadata: Metadata = { title: "Sign in" };

/** Only a path of this portal may be gone to after signing in. */
const safeNext = (next: unknown) =>
  typeof next === "string" && /^\/(?![/\\])[\w\-/?=&%.]*$/.test(next) ? next : "/";

export default async function LoginPage({
  searchParams,
}: {
  searchParams: Promise<Record<string, unknown>>;
}) {
  const { next } = await searchParams;
  if (await currentUser()) redirect(safeNext(next));
  return <LoginForm next={safeNext(next)} />;
}
