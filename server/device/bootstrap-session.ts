import type { IncomingRequest, OutgoingResponse } from "@/server/coap/types";
import {
  ContentError,
  ContentFormat,
  type ContentValue,
  decodeContent,
  encodeContent,
  formatLinks,
  formatPath,
  type Link,
  link,
  opaqueBytes,
  type Path,
  parseIds,
  parsePath,
  type ResourceValue,
} from "@/server/lwm2m";
import { credentialFault } from "./certificate";
import type { Credentials } from "./link";
import type { Account } from "./state";
import { parseServerUri } from "./uri";

const SECURITY = 0;
const SERVER = 1;
// Security modes. [LwM2M-Core 1.1.1 §E.1]
const MODE_CERTIFICATE = 2;
const MODE_NOSEC = 3;

const READABLE: readonly number[] = [
  ContentFormat.tlv,
  ContentFormat.oldTlv,
  ContentFormat.pelionTlv,
  ContentFormat.senmlJson,
  ContentFormat.senmlCbor,
];

type Instance = Map<number, ResourceValue>;

/** What a session starts from. */
export interface BootstrapStart {
  lwm2mVersion: string;
  bootstrapUri: string;
  /** Instance of the bootstrap account in /0. */
  bootstrapInstance: number;
  /** The account in use, shown to the server and kept unless it is replaced. */
  account: Account | null;
  /** Objects besides /0 and /1 with their instances, for Discover. */
  otherInstances: readonly Path[];
}

/**
 * The device's part of a bootstrap session [LwM2M-Core 1.1.1 §6.1.7]: takes the server's writes into a copy
 * and hands the result out only when it is consistent at Finish.
 */
export class BootstrapSession {
  readonly #security = new Map<number, Instance>();
  readonly #servers = new Map<number, Instance>();
  /** Anything the server did: restarts the wait for its next command. */
  oncommand: ((what: string) => void) | null = null;

  constructor(
    private readonly start: BootstrapStart,
    /** Takes the account before Finish is answered; its failure is answered 5.00. */
    private readonly commit: (account: Account) => Promise<void>,
    /** Called when the answer to Finish is out. */
    private readonly finished: () => void,
  ) {
    const { bootstrapInstance, account } = start;
    this.#security.set(
      bootstrapInstance,
      new Map<number, ResourceValue>([
        [0, { type: "string", value: start.bootstrapUri }],
        [1, { type: "boolean", value: true }],
      ]),
    );
    if (account) {
      const instance = bootstrapInstance === 0 ? 1 : 0;
      this.#security.set(instance, describeAccount(account));
      this.#servers.set(0, new Map([[0, { type: "integer", value: String(account.shortServerId) }]]));
    }
  }

  async handle(request: IncomingRequest): Promise<OutgoingResponse> {
    const isFinish = request.method === "POST" && request.path.join("/") === "bs";
    const ids = isFinish ? [] : parseIds(request.path);
    this.oncommand?.(`${request.method} /${request.path.join("/")}`);
    if (!ids) return { code: "4.04" };
    try {
      if (isFinish) return await this.#finish();
      switch (request.method) {
        case "GET":
          return request.accept === ContentFormat.link ? this.#discover(ids) : this.#read(ids);
        case "PUT":
          return this.#write(request, ids);
        case "DELETE":
          return this.#delete(ids);
        default:
          return { code: "4.05" };
      }
    } catch (error) {
      if (error instanceof ContentError) return { code: "4.00", payload: error.message };
      throw error;
    }
  }

  #instances(objectId: number): Map<number, Instance> | null {
    return objectId === SECURITY ? this.#security : objectId === SERVER ? this.#servers : null;
  }

  #isKnown(objectId: number): boolean {
    return (
      this.#instances(objectId) !== null ||
      this.start.otherInstances.some((path) => parsePath(path)?.[0] === objectId)
    );
  }

  #discover(ids: readonly number[]): OutgoingResponse {
    const [objectId] = ids;
    if (ids.length > 1) return { code: "4.05" };
    if (objectId !== undefined && !this.#isKnown(objectId)) return { code: "4.04" };
    const links: Link[] = [link("/", { lwm2m: this.start.lwm2mVersion })];
    const wanted = (id: number) => objectId === undefined || objectId === id;
    if (wanted(SECURITY)) {
      for (const [id, instance] of this.#security) {
        const uri = instance.get(0)?.value;
        const ssid = instance.get(10)?.value;
        // The bootstrap account is the one without a short server id. [LwM2M-Core 1.1.1 §6.1.7.3]
        const attributes: Record<string, string> =
          ssid === undefined || isTrue(instance.get(1)) ? {} : { ssid: String(ssid) };
        if (uri !== undefined) attributes.uri = String(uri);
        links.push(link(`/0/${id}`, attributes));
      }
    }
    if (wanted(SERVER)) {
      for (const [id, instance] of this.#servers) {
        const ssid = instance.get(0)?.value;
        links.push(link(`/1/${id}`, ssid === undefined ? {} : { ssid: String(ssid) }));
      }
      if (this.#servers.size === 0) links.push(link("/1"));
    }
    for (const path of this.start.otherInstances)
      if (wanted(parsePath(path)?.[0] ?? -1)) links.push(link(path));
    return { code: "2.05", contentFormat: ContentFormat.link, payload: formatLinks(links) };
  }

  #read(ids: readonly number[]): OutgoingResponse {
    // Only these two objects may be read by a bootstrap server. [LwM2M-Core 1.1.1 §6.1.7.4]
    if (ids[0] !== SERVER || ids.length > 2) return { code: "4.05" };
    const path = formatPath(ids);
    if (ids.length === 2 && !this.#servers.has(ids[1]!)) return { code: "4.04" };
    const values: ContentValue[] = [...this.#servers].flatMap(([id, instance]) =>
      [...instance].map(([resource, value]) => ({ path: `/1/${id}/${resource}`, value })),
    );
    return {
      code: "2.05",
      contentFormat: ContentFormat.tlv,
      payload: encodeContent(
        ContentFormat.tlv,
        path,
        values.filter((one) => ids.length === 1 || one.path.startsWith(`${path}/`)),
      ),
    };
  }

  #write(request: IncomingRequest, ids: readonly number[]): OutgoingResponse {
    const [objectId, instanceId] = ids;
    if (objectId === undefined || ids.length > 2) return { code: "4.05" };
    const instances = this.#instances(objectId);
    if (!instances) return { code: this.#isKnown(objectId) ? "4.05" : "4.04" };
    if (request.contentFormat === null || !READABLE.includes(request.contentFormat)) return { code: "4.15" };

    const written = new Map<number, Instance>();
    for (const { path, value } of decodeContent(request.contentFormat, request.payload, formatPath(ids))) {
      const [, instance, resource, one] = parsePath(path) as [number, number, number, number?];
      if (one !== undefined) throw new ContentError(`${path} is not kept by this device.`);
      const resources = written.get(instance) ?? new Map<number, ResourceValue>();
      written.set(instance, resources.set(resource, value));
    }
    if (written.size === 0 && instanceId !== undefined) written.set(instanceId, new Map());
    if (objectId === SECURITY && written.has(this.start.bootstrapInstance)) {
      return { code: "4.00", payload: "The bootstrap account of this device is not overwritten." };
    }
    for (const [instance, resources] of written) instances.set(instance, resources);
    return { code: "2.04" };
  }

  #delete(ids: readonly number[]): OutgoingResponse {
    const [objectId, instanceId] = ids;
    if (ids.length > 2) return { code: "4.05" };
    if (objectId === undefined) {
      this.#clear(this.#security);
      this.#servers.clear();
      return { code: "2.02" };
    }
    const instances = this.#instances(objectId);
    // The other objects are part of the device: they stay, as a Delete on / leaves them.
    if (!instances) return { code: this.#isKnown(objectId) ? "4.05" : "4.04" };
    if (instanceId === undefined) this.#clear(instances);
    else if (instances === this.#security && instanceId === this.start.bootstrapInstance) {
      return { code: "4.00", payload: "The bootstrap account of this device is not deleted." };
    } else if (!instances.delete(instanceId)) return { code: "4.04" };
    return { code: "2.02" };
  }

  #clear(instances: Map<number, Instance>): void {
    for (const id of instances.keys()) {
      if (instances !== this.#security || id !== this.start.bootstrapInstance) instances.delete(id);
    }
  }

  async #finish(): Promise<OutgoingResponse> {
    const account = this.#account();
    if (typeof account === "string") return { code: "4.06", payload: account };
    await this.commit(account);
    return { code: "2.04", sent: this.finished };
  }

  /** The account of the session, or what is inconsistent in it. */
  #account(): Account | string {
    const others = [...this.#security].filter(([id]) => id !== this.start.bootstrapInstance);
    if (others.some(([, instance]) => isTrue(instance.get(1)))) return "There are two bootstrap accounts.";
    if (others.length === 0) return "No LwM2M server account was written.";
    if (others.length > 1) return "This device takes one LwM2M server account, there are more.";
    const [id, security] = others[0]!;
    const uri = textOf(security.get(0));
    if (uri === null || !parseServerUri(uri)) return `The server URI in /0/${id}/0 is missing or unreadable.`;
    const shortServerId = numberOf(security.get(10));
    if (shortServerId === null || shortServerId < 1 || shortServerId > 65534) {
      return `The short server id in /0/${id}/10 is missing or out of range.`;
    }
    const server = [...this.#servers.values()].find((one) => numberOf(one.get(0)) === shortServerId);
    if (!server) return `There is no server with the short id ${shortServerId} in /1.`;

    const mode = numberOf(security.get(2));
    let credentials: Credentials | null = null;
    if (mode === MODE_CERTIFICATE) {
      const [certificate, serverCa, privateKey] = [3, 4, 5].map((resource) =>
        bytesOf(security.get(resource)),
      );
      if (!certificate || !serverCa || !privateKey)
        return `Certificate, key or server certificate is missing in /0/${id}.`;
      const fault = credentialFault(certificate, privateKey, serverCa);
      if (fault) return fault;
      credentials = { certificate, privateKey, serverCa };
    } else if (mode !== MODE_NOSEC) {
      return `This device does not know the security mode ${mode ?? "that is missing"} in /0/${id}/2.`;
    }
    if (parseServerUri(uri)?.secure !== (credentials !== null))
      return "The server URI does not fit the security mode.";
    return { uri, shortServerId, lifetime: numberOf(server.get(1)), credentials };
  }
}

function describeAccount(account: Account): Instance {
  const { credentials } = account;
  const opaque = (bytes: Uint8Array): ResourceValue => ({
    type: "opaque",
    value: Buffer.from(bytes).toString("base64"),
  });
  const instance: Instance = new Map<number, ResourceValue>([
    [0, { type: "string", value: account.uri }],
    [1, { type: "boolean", value: false }],
    [2, { type: "integer", value: String(credentials ? MODE_CERTIFICATE : MODE_NOSEC) }],
    [10, { type: "integer", value: String(account.shortServerId) }],
  ]);
  if (credentials) {
    instance.set(3, opaque(credentials.certificate));
    instance.set(4, opaque(credentials.serverCa));
    instance.set(5, opaque(credentials.privateKey));
  }
  return instance;
}

const isTrue = (value: ResourceValue | undefined): boolean => value?.type === "boolean" && value.value;
const textOf = (value: ResourceValue | undefined): string | null =>
  value?.type === "string" ? value.value : null;
const numberOf = (value: ResourceValue | undefined): number | null =>
  value?.type === "integer" || value?.type === "unsigned" ? Number(value.value) : null;
const bytesOf = (value: ResourceValue | undefined): Uint8Array | null =>
  value?.type === "opaque" && value.value !== "" ? opaqueBytes(value) : null;
