import type { PeerSettings } from "@/server/coap";
import type { Path } from "@/server/lwm2m";
import type { ProfileName } from "@/server/services/registrations/statements";
import type { AccountPlace } from "../bootstrap/account";
import { pelion } from "./pelion";
import { standard } from "./standard";

/** What the server does differently for one kind of client. */
export interface Profile {
  readonly name: ProfileName;
  /** How its CoAP messages are answered. */
  readonly session: PeerSettings;
  /** Largest block of a request to it, in bytes; null: the default. */
  readonly blockSize: number | null;
  /** Its Updates carry only links that are new or gone, instead of the whole list [LwM2M-Core 1.1.1 §6.2.2]. */
  readonly deltaLinks: boolean;
  /** Its links name every resource it has, some with their values, and those that it notifies by itself. */
  readonly presentsResources: boolean;
  /** It goes on notifying over its next connection of a stream transport, which ends observations [RFC8323 §7.4]. */
  readonly keepsObservations: boolean;
  /** It takes its lifetime from the Max-Age of the answer to its Register. */
  readonly lifetimeFromMaxAge: boolean;
  /** The location of its registration, below /rd. */
  location(device: { id: string; accountId: string }): string;
  /** The format to ask for where nobody chose one; null: whatever the client has. */
  accept(path: Path): number | null;
  readonly bootstrap: BootstrapProfile;
}

/** How a client's account is written. */
export interface BootstrapProfile {
  /** It stores its device ID and sends it as `iep`: without one it is a new device. */
  readonly keepsDeviceId: boolean;
  /** Where the account goes in a client that cannot be asked; null: Discover tells. */
  readonly place: AccountPlace | null;
  /** Its former account has to go first: it checks old and new together and refuses both. */
  readonly deletesFirst: boolean;
  /** It wants whole instances written to the object, and drops credentials that come to the instance. */
  readonly writesToObject: boolean;
  /** It knows the binding T, for TCP [LwM2M-Core 1.1.1 §6.2.1.2]. */
  readonly knowsTcpBinding: boolean;
  /** Resource 4 of the security object is the CA, and there is no certificate usage (/0/x/15). */
  readonly trustsCa: boolean;
  serverUri(uri: string, accountId: string): string;
  /** Query of Bootstrap-Finish. */
  finishQuery(deviceId: string): readonly string[];
}

const PROFILES: Readonly<Record<ProfileName, Profile>> = { standard, pelion };

/** The profile of a registration or of whoever is to be one. */
export const profileOf = ({ profile }: { profile: ProfileName }): Profile => PROFILES[profile];

/** `mccv`, the version of its client library, is a parameter that only Pelion's client sends. */
export const profileOfVersion = (clientVersion: string | null | undefined): Profile =>
  clientVersion === null || clientVersion === undefined ? standard : pelion;
