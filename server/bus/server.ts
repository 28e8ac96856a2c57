import { chmodSync, unlinkSync } from "node:fs";
import { connect, createServer } from "node:net";
import type { Logger } from "../log";
import type { BusClient } from "../services/context";
import { ServiceError } from "../services/errors";
import {
  type BusEvent,
  type BusFrame,
  type GatewayOp,
  type GatewayRequests,
  gatewayRequests,
  isForEveryProcess,
} from "./messages";
import { Wire } from "./wire";

/** One function per request that the gateway answers. */
export type BusHandlers = {
  [K in GatewayOp]: (
    input: GatewayRequests[K]["input"],
  ) => Promise<GatewayRequests[K]["output"]> | GatewayRequests[K]["output"];
};

export interface ServeOptions {
  path: string;
  /** What is asked before they are there waits for them. */
  handlers: BusHandlers | Promise<BusHandlers>;
  log: Logger;
}

/** The gateway's end of the bus; also a client of it, for verbs that run inside the gateway. */
export interface BusServer extends BusClient {
  /** Calls `run` with every event that a connected process publishes; not with our own. */
  subscribe(run: (event: BusEvent) => void): () => void;
  /** Processes that are connected now. */
  readonly clients: number;
  /** Whether a connected process wants events of this account (null: those of no account). */
  watched(accountId: string | null): boolean;
  close(): Promise<void>;
}

/** Listens on the local socket; throws when another gateway already does. */
export async function serveBus({ path, handlers, log }: ServeOptions): Promise<BusServer> {
  /** All connections, and those that have greeted with the accounts they watch (null: all). */
  const open = new Set<Wire>();
  const wires = new Map<Wire, ReadonlySet<string> | null>();
  const listeners = new Set<(event: BusEvent) => void>();

  const broadcast = (event: BusEvent, except: Wire | null) => {
    let line: string | undefined;
    for (const [wire, accounts] of wires)
      if (wire !== except && (isForEveryProcess(event) || wants(accounts, event.accountId)))
        wire.sendLine((line ??= `${JSON.stringify({ t: "evt", event })}\n`));
  };

  const answer = async (wire: Wire, n: number, op: string, input: unknown) => {
    try {
      wire.send({ t: "res", n, output: await run(await handlers, op, input) });
    } catch (error) {
      if (error instanceof ServiceError) {
        wire.send({ t: "err", n, code: error.code, message: error.message, fields: [...error.fields] });
      } else {
        log.error({ err: error, op }, "a request from the bus failed");
        wire.send({ t: "err", n, code: "internal_error", message: "The gateway failed; its log says why." });
      }
    }
  };

  const server = createServer((socket) => {
    const wire: Wire = new Wire(socket, {
      hello: () => wires.set(wire, null),
      frame: (frame: BusFrame) => {
        if (frame.t === "req") void answer(wire, frame.n, frame.op, frame.input);
        else if (frame.t === "watch") wires.set(wire, frame.accounts && new Set(frame.accounts));
        else if (frame.t === "evt") {
          broadcast(frame.event, wire);
          tell(listeners, frame.event, log);
        }
      },
      close: (reason) => {
        open.delete(wire);
        wires.delete(wire);
        if (reason) log.warn(reason);
      },
    });
    open.add(wire);
  });

  await removeStale(path);
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    // The socket is made with the mode it keeps: nobody else may connect in between.
    const before = process.umask(0o177);
    try {
      server.listen(path, resolve);
    } finally {
      process.umask(before);
    }
  });
  if (process.platform !== "win32") chmodSync(path, 0o600);

  return {
    get clients() {
      return wires.size;
    },
    watched(accountId) {
      for (const accounts of wires.values()) if (wants(accounts, accountId)) return true;
      return false;
    },
    request: async (op, input) => (await run(await handlers, op, input)) as never,
    // Our own code made it; who receives it checks it.
    publish: (event) => broadcast(event, null),
    subscribe(run) {
      listeners.add(run);
      return () => listeners.delete(run);
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const wire of open) wire.end();
      }),
  };
}

/** Events of no account go to everyone who watches anything. */
function wants(accounts: ReadonlySet<string> | null, accountId: string | null): boolean {
  return accounts === null || (accountId === null ? accounts.size > 0 : accounts.has(accountId));
}

/** Calls a handler with checked input and checks what it returns. */
async function run(handlers: BusHandlers, op: string, input: unknown): Promise<unknown> {
  if (!Object.hasOwn(gatewayRequests, op))
    throw new ServiceError("bad_request", `The gateway knows no request "${op}".`);
  const name = op as GatewayOp;
  const checked = gatewayRequests[name].input.safeParse(input);
  if (!checked.success) {
    throw new ServiceError(
      "validation_error",
      "The request to the gateway is not valid.",
      checked.error.issues.map((issue) => ({ name: issue.path.join("."), message: issue.message })),
    );
  }
  return gatewayRequests[name].output.parse(await handlers[name](checked.data as never));
}

/** Tells every listener; one that throws does not keep the others from hearing it. */
export function tell(listeners: Iterable<(event: BusEvent) => void>, event: BusEvent, log: Logger): void {
  for (const listener of listeners) {
    try {
      listener(event);
    } catch (error) {
      log.error({ err: error }, "a listener on the bus failed");
    }
  }
}

/** Removes a socket that a killed process left behind. */
async function removeStale(path: string): Promise<void> {
  if (process.platform === "win32") return;
  const answer = await new Promise<"open" | "stale" | "none">((resolve, reject) => {
    const probe = connect(path);
    probe.once("connect", () => {
      probe.destroy();
      resolve("open");
    });
    probe.once("error", (error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT") resolve("none");
      else if (error.code === "ECONNREFUSED") resolve("stale");
      else reject(error);
    });
  });
  if (answer === "open")
    throw new Error(`Another gateway is already running with this data folder (${path}).`);
  if (answer === "stale") unlinkSync(path);
}
