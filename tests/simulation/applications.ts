import type { Reply } from "@/server/api/operation";
import { hashKey } from "@/server/services/api-keys/key";
import type { Actor, Context } from "@/server/services/context";
import { actAs } from "@/server/services/create-context";
import { ServiceError } from "@/server/services/errors";
import { sendRequest } from "@/server/services/requests/send";
import { subscribe, unsubscribe } from "@/server/services/subscriptions/explicit";
import type { Promises } from "./invariants";
import type { Instance } from "./processes";
import type { Life, World } from "./world";

/** What an application was told, in order. */
interface Message {
  registrations?: { ep: string }[];
  "async-responses"?: { id: string; status: number }[];
  notifications?: { ep: string; path: string }[];
}

/** An application that long-polls, subscribes and asks devices for things. */
export class Application {
  readonly heard = new Map<string, number>();
  polls = 0;
  #polling = false;
  #requests = 0;

  constructor(
    private readonly world: World,
    private readonly instance: Instance,
    private readonly promises: Promises,
    readonly name: string,
    private readonly actor: Actor & { kind: "apiKey" },
    private readonly key: string,
  ) {
    promises.owner(actor.id, actor.accountId);
  }

  get accountId(): string {
    return this.actor.accountId;
  }

  #context(): { ctx: Context; life: Life } | null {
    const { portal } = this.instance;
    if (!portal?.life.alive) return null;
    return { ctx: actAs(portal.context, this.actor), life: portal.life };
  }

  /** Polls, and polls again, until the portal that it polls is gone. */
  poll(): void {
    const { portal } = this.instance;
    const from = this.#context();
    if (this.#polling || !portal || !from) return;
    this.#polling = true;
    const { ctx, life } = from;
    const again = (ms: number) => {
      this.#polling = false;
      this.world.after(ms, () => this.poll());
    };
    life.onend(() => {
      if (this.#polling) again(this.world.random.int(500, 3000));
    });
    let arrived = false;
    const lost = this.world.random.chance(0.05);
    portal.delivery
      .poll({
        ctx,
        keyHash: hashKey(this.key),
        signal: new AbortController().signal,
        delivered: () => arrived && !lost,
      })
      .then(
        (reply) => {
          if (!life.alive) return;
          this.polls++;
          this.world.after(this.world.random.int(5, 50), () => {
            if (!life.alive) return;
            arrived = true;
            if (!lost) this.#take(reply);
            again(lost ? 1000 : 1);
          });
        },
        (error: unknown) => {
          if (!life.alive) return;
          this.world.say(`${this.name}: a poll failed: ${error}`);
          again(this.world.random.int(500, 3000));
        },
      );
  }

  #take(reply: Reply): void {
    if (reply.status !== 200 || typeof reply.body !== "string") return;
    const message = JSON.parse(reply.body) as Message;
    for (const { id } of message["async-responses"] ?? []) this.heard.set(id, (this.heard.get(id) ?? 0) + 1);
  }

  /** Does something with a device. */
  async act(deviceId: string): Promise<void> {
    const from = this.#context();
    if (!from) return;
    const { ctx } = from;
    const { random } = this.world;
    const path = random.pick(["/3/0/0", "/3/0/1", "/3/0/2", "/1/0/1"]);
    try {
      switch (random.pick(["read", "read", "execute", "write", "subscribe", "unsubscribe"])) {
        case "read":
          await this.#send(ctx, deviceId, "GET", path);
          return;
        case "execute":
          // Rebooting counts as carried out when it is heard; what it does is the device's own.
          await this.#send(ctx, deviceId, "POST", "/1/0/8");
          return;
        case "write":
          await this.#send(ctx, deviceId, "PUT", "/1/0/6", "1");
          return;
        case "subscribe": {
          this.world.say(`${this.name} subscribes to ${path} of ${deviceId}`);
          const subscribed = await subscribe(ctx, { deviceId, path });
          if (subscribed.refused === null && subscribed.state === "pending")
            this.promises.asks(subscribed.asyncId, this.actor.id, `${this.name}'s subscription to ${path}`);
          return;
        }
        default:
          await unsubscribe(ctx, { deviceId, path });
      }
    } catch (error) {
      // What the gateway cannot take now is said so; that is no fault.
      if (!(error instanceof ServiceError)) throw error;
      this.world.say(`${this.name} is told: ${error.message}`);
      if (error.code === "internal_error" || error.code === "validation_error") throw error;
    }
  }

  async #send(
    ctx: Context,
    deviceId: string,
    method: "GET" | "PUT" | "POST",
    uri: string,
    body = "",
  ): Promise<void> {
    const asyncId = `${this.name.replace("@", "-")}-${++this.#requests}`;
    const payload = method === "POST" ? `once-${asyncId}` : body;
    const what = `${this.name}'s ${method} ${uri} to ${deviceId}`;
    // The answer may be here before the request is said to be taken.
    this.promises.asks(asyncId, this.actor.id, what);
    try {
      const { refused } = await sendRequest(ctx, {
        deviceId,
        asyncId,
        method,
        uri,
        accept: null,
        contentType: method === "GET" ? null : "text/plain",
        payload: Buffer.from(payload),
        expirySeconds: this.world.random.pick([60, 600, 3600]),
      });
      if (refused) this.world.say(`${what} was refused: ${refused}`);
      if (refused) this.promises.refused(asyncId);
      else this.world.say(`${what} was taken`);
    } catch (error) {
      // Whether it was taken nobody knows now.
      this.promises.unsure(asyncId);
      throw error;
    }
  }
}
