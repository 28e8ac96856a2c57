import { LinkFormatError, type ObjectLinks, parseLinks, readObjectLinks } from "@/server/lwm2m";

/** What a registration presents; null when it cannot be read any longer. */
export function readLinks(registration: { objectLinks: string; lwm2mVersion: string }): ObjectLinks | null {
  try {
    return readObjectLinks(parseLinks(registration.objectLinks), registration.lwm2mVersion);
  } catch (error) {
    // Kept links were checked when they came; should a rule have changed since, the rest is still worth showing.
    if (error instanceof LinkFormatError) return null;
    throw error;
  }
}
