import type { ServerResponse } from "node:http";
import { ping } from "@/server/services/overview/get";
import { runtime } from "./runtime";

/** Answers GET /healthz: 200 when both processes are up and what happens can be stored, else 503. */
export async function answerHealth(res: ServerResponse): Promise<void> {
  const gateway = await ping(runtime());
  const trouble = gateway?.storageTrouble ?? null;
  const ok = gateway !== null && trouble === null;
  const body = {
    status: ok ? "ok" : "degraded",
    portal: "up",
    gateway: gateway ? "up" : "down",
    // The gateway is the one that writes all the time.
    storage: gateway ? (trouble?.reason ?? "ok") : "unknown",
    version: runtime().version,
  };
  res.writeHead(ok ? 200 : 503, { "Content-Type": "application/json", "Cache-Control": "no-store" });
  res.end(JSON.stringify(body));
}
