import type { ReactNode } from "react";
import { Logo } from "@/components/logo";

export default function AuthLayout({ children }: { children: ReactNode }) {
  return (
    <div className="grid min-h-dvh grid-rows-[auto_1fr_auto]">
      <header className="p-5 md:p-6">
        <Logo />
      </header>
      <main className="mx-auto w-full max-w-[24rem] self-center px-5 pb-16">{children}</main>
      <footer className="p-5 text-muted text-xs md:p-6">
        Device onboarding for LwM2M, on your own machine.
      </footer>
    </div>
  );
}
