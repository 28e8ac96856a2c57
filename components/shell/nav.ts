import { Award, Cpu, DoorClosed, KeyRound, LayoutDashboard, type LucideIcon, Server } from "lucide-react";

export interface Place {
  href: string;
  label: string;
  icon: LucideIcon;
}

/** Where one can go, in the order of a first visit. */
export const places: { title: string | null; items: Place[] }[] = [
  {
    title: null,
    items: [
      { href: "/", label: "Overview", icon: LayoutDashboard },
      { href: "/devices", label: "Devices", icon: Cpu },
      { href: "/knocks", label: "Knocks", icon: DoorClosed },
    ],
  },
  {
    title: "Identity",
    items: [
      { href: "/certificates", label: "Certificates", icon: Award },
      { href: "/server", label: "Server", icon: Server },
      { href: "/keys", label: "API keys", icon: KeyRound },
    ],
  },
];

export const isHere = (pathname: string, href: string): boolean =>
  href === "/" ? pathname === "/" : pathname === href || pathname.startsWith(`${href}/`);
