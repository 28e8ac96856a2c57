/** What a device needs to bootstrap. */
export interface Bundle {
  version: 1;
  endpointName: string;
  accountId: string;
  bootstrapUri: { udp: string; tcp: string };
  /** DER. */
  certificate: Uint8Array;
  /** PKCS#8, DER. */
  privateKey: Uint8Array;
  /** DER. */
  serverCa: Uint8Array;
}

/** What a bundle is made of. */
export type BundleInput = Omit<Bundle, "version"> & {
  /** Name of the zip file, for the commands in its README. */
  fileName?: string;
  /** When it was made; default now. */
  madeAt?: Date;
};
