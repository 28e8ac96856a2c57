import {
  AppWindow,
  Award,
  BookOpen,
  Boxes,
  Building2,
  ClipboardList,
  Cpu,
  DoorClosed,
  KeyRound,
  LayoutDashboard,
  type LucideIcon,
  Radio,
  ScrollText,
  Server,
  Settings,
  Users,
} from "lucide-react";
import type { Viewer } from "../viewer";

export interface Place {
  href: string;
  label: string;
  icon: LucideIcon;
  /** Who finds something there; absent: everybody. */
  only?: (viewer: Viewer) => boolean;
}

const administrators = ({ administrator }: Viewer) => administrator;
const whoRunsIt = ({ runsInstance }: Viewer) => runsInstance;

/** Where one can go, in the order of a first visit. */
const places: { title: string | null; items: Place[] }[] = [
  {
    title: null,
    items: [
      { href: "/", label: "Overview", icon: LayoutDashboard },
      { href: "/devices", label: "Devices", icon: Cpu },
      { href: "/groups", label: "Groups", icon: Boxes },
      { href: "/knocks", label: "Knocks", icon: DoorClosed },
    ],
  },
  {
    title: "Identity",
    items: [
      { href: "/certificates", label: "Certificates", icon: Award },
      { href: "/enrollments", label: "Enrollments", icon: ClipboardList },
      { href: "/server", label: "Server", icon: Server },
    ],
  },
  {
    title: "Programs",
    items: [
      { href: "/applications", label: "Applications", icon: AppWindow },
      { href: "/keys", label: "API keys", icon: KeyRound },
      { href: "/notifications", label: "Notifications", icon: Radio },
      { href: "/reference", label: "API reference", icon: BookOpen },
    ],
  },
  {
    title: "Account",
    items: [
      { href: "/users", label: "Users", icon: Users },
      { href: "/audit", label: "Audit log", icon: ScrollText, only: administrators },
      { href: "/accounts", label: "Accounts", icon: Building2, only: whoRunsIt },
      { href: "/settings", label: "Settings", icon: Settings },
    ],
  },
];

export const placesFor = (viewer: Viewer): typeof places =>
  places.map(({ title, items }) => ({ title, items: items.filter(({ only }) => !only || only(viewer)) }));

export const isHere = (pathname: string, href: string): boolean =>
  href === "/" ? pathname === "/" : pathname === href || pathname.startsWith(`${href}/`);
