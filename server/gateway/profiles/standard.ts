import { randomUUID } from "node:crypto";
import { ContentFormat } from "@/server/lwm2m";
import type { Profile } from ".";

/** Clients that keep to the specification. */
export const standard: Profile = {
  name: "standard",
  session: {},
  blockSize: null,
  deltaLinks: false,
  presentsResources: false,
  keepsObservations: false,
  lifetimeFromMaxAge: false,
  location: newLocation,
  // TLV is the one format every version and client knows for any path.
  accept: () => ContentFormat.tlv,
  bootstrap: {
    keepsDeviceId: false,
    place: null,
    deletesFirst: false,
    writesToObject: false,
    knowsTcpBinding: true,
    trustsCa: false,
    serverUri: (uri) => uri,
    finishQuery: () => [],
  },
};

/**
 * 64 random bits in hex: without transport security the location is all that tells one device from another. A UUID comes
 * from a pool of random bytes, which costs a tenth of asking for eight.
 */
function newLocation(): string {
  const uuid = randomUUID();
  return uuid.slice(0, 8) + uuid.slice(24, 32);
}
