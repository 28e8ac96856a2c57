import { words } from "./diff";

/** What can be changed, by its name in the log. */
const OBJECTS: Readonly<Record<string, string>> = {
  "api-key": "API key",
  "access-key": "Access key",
  "trusted-certificate": "Certificate",
  "notification-channel": "Notification channel",
};

const VERBS: Readonly<Record<string, string>> = { created: "made", updated: "changed" };

const capital = (text: string) => text.charAt(0).toUpperCase() + text.slice(1);

export const objectWords = (objectType: string): string => OBJECTS[objectType] ?? capital(words(objectType));

/** "device.updated" as what happened: "changed". */
export function verb(action: string): string {
  const last = action.slice(action.lastIndexOf(".") + 1);
  return VERBS[last] ?? words(last);
}

/** What people call it, as far as the change tells. */
export function nameOf(
  before: Record<string, unknown> | null,
  after: Record<string, unknown> | null,
): string | null {
  for (const state of [after, before]) {
    for (const field of ["name", "email", "endpointName", "identity", "url"]) {
      const value = state?.[field];
      if (typeof value === "string" && value !== "") return value;
    }
  }
  return null;
}

/** Who it was, as a person says it. */
export function actorWords(actor: string): string {
  if (actor === "operator") return "Command line";
  if (actor === "system") return "Gangway itself";
  if (actor === "device") return "The device";
  return actor.startsWith("key:") ? `Key “${actor.slice(4)}”` : actor.replace(/^user:/, "");
}

/** Where it can be looked at. */
export function placeOf(objectType: string, objectId: string): string | null {
  switch (objectType) {
    case "device":
      return `/devices/${objectId}`;
    case "application":
    case "access-key":
      return "/applications";
    case "api-key":
      return "/keys";
    case "notification-channel":
      return `/notifications#${objectId}`;
    case "user":
      return "/users";
    default:
      return null;
  }
}
