/** The members of a NotificationMessage, which are also the kinds of rows in a queue. */
export const notificationKinds = [
  "registrations",
  "reg-updates",
  "de-registrations",
  "registrations-expired",
  "notifications",
  "async-responses",
] as const;
export type NotificationKind = (typeof notificationKinds)[number];

/** A resource as a registration presents it. */
export interface PresentedResource {
  path: string;
  if?: string;
  rt?: string;
  ct?: string;
  obs: boolean;
}

/** Of every entry but an async response; `timestamp` in ms since 1970. */
interface Stamp {
  uid: string;
  timestamp: number;
}

/** Entries in full: what a channel did not ask for is left out when they are delivered. */
export interface NotificationBodies {
  registrations: Stamp & {
    /** Device ID. */
    ep: string;
    /** Endpoint name. */
    "original-ep": string;
    ept: string;
    q: boolean;
    resources: PresentedResource[];
  };
  "reg-updates": NotificationBodies["registrations"];
  "de-registrations": Stamp & { ep: string; "original-ep": string };
  "registrations-expired": NotificationBodies["de-registrations"];
  notifications: Stamp & {
    ep: string;
    "original-ep": string;
    path: string;
    /** Media type. */
    ct: string;
    /** Base64. */
    payload: string;
    /** Seconds. */
    "max-age": number;
  };
  "async-responses": {
    id: string;
    status: number;
    /** Base64; empty where there is none. */
    payload: string;
    ct?: string;
    "max-age"?: number;
    error?: string;
  };
}
