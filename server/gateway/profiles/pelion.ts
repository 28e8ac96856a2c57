import { ContentFormat, resourceDefinition } from "@/server/lwm2m";
import type { Profile } from ".";

const BLOCK = 512;

/** Pelion's client (`mbed-cloud-client`). */
export const pelion: Profile = {
  name: "pelion",
  // It never acknowledges a separate response, and its blocks are half as large as others'.
  session: { blockSize: BLOCK, piggybackMs: Number.POSITIVE_INFINITY },
  blockSize: BLOCK,
  deltaLinks: true,
  presentsResources: true,
  keepsObservations: true,
  lifetimeFromMaxAge: true,
  // It reads account and ID off its location.
  location: ({ id, accountId }) => `${accountId}/${id}`,
  // It has a format of its own for each single resource, and calls what its application provides by whatever name was
  // asked for.
  accept: (path) =>
    path.split("/").length === 4 && !resourceDefinition(path)?.multiple ? null : ContentFormat.tlv,
  bootstrap: {
    keepsDeviceId: true,
    // Its bootstrap account is at /0/1.
    place: { securityInstance: 0, serverInstance: 0, lwm2mVersion: "1.0" },
    deletesFirst: true,
    writesToObject: true,
    // It says U over TCP too, and so was never asked to know T.
    knowsTcpBinding: false,
    trustsCa: true,
    // It knows coap and coaps only; UDP or TCP was chosen when it was built.
    serverUri: (uri, accountId) => `${uri.replace("+tcp://", "://")}?aid=${accountId}`,
    finishQuery: (deviceId) => [`iep=${deviceId}`],
  },
};
