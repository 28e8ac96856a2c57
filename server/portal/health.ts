import type { ServerResponse } from "node:http";
import { runtime } from "./runtime";

const PATIENCE_MS = 2_000;

/** Answers GET /healthz: 200 when both processes are up, else 503. */
export async function answerHealth(res: ServerResponse): Promise<void> {
  const gateway = (await gatewayIsUp()) ? "up" : "down";
  const body = {
    status: gateway === "up" ? "ok" : "degraded",
    portal: "up",
    gateway,
    version: runtime().version,
  };
  res.writeHead(gateway === "up" ? 200 : 503, {
    "Content-Type": "application/json",
    "Cache-Control": "no-store",
  });
  res.end(JSON.stringify(body));
}

function gatewayIsUp(): Promise<boolean> {
  const { bus, clock } = runtime();
  return new Promise((resolve) => {
    const timer = clock.after(PATIENCE_MS, () => resolve(false));
    bus
      .request("ping", {})
      .then(
        () => resolve(true),
        () => resolve(false),
      )
      .finally(() => timer.cancel());
  });
}
