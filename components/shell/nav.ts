import {
  Award,
  Cpu,
  DoorClosed,
  KeyRound,
  LayoutDashboard,
  type LucideIcon,
  Server,
  Settings,
} from "lucide-react";

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
    ],
  },
  {
    title: "Account",
    items: [
      { href: "/keys", label: "API keys", icon: KeyRound },
      { href: "/settings", label: "Settings", icon: Settings },
    ],
  },
];

export const isHere = (pathname: string, href: string): boolean =>
  href === "/" ? pathname === "/" : pathname === href || pathname.startsWith(`${href}/`);
