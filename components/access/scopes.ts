import type { Scope } from "@/server/services/context";

/** What a key can be restricted to, in words. */
export const SCOPES = {
  read: { label: "Read", short: "look at everything of the account" },
  connect: { label: "Connect", short: "talk to devices: requests, subscriptions, notification channels" },
  manage: { label: "Manage", short: "change the directory: devices, groups, queries, enrollments" },
  credentials: {
    label: "Credentials",
    short: "make and change certificates, keys, applications, users and the account",
  },
} as const satisfies Record<Scope, { label: string; short: string }>;
