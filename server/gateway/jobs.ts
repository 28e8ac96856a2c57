import type { Clock, Timer } from "@/server/clock";
import type { Logger } from "@/server/log";
import { pruneAuditLog } from "@/server/services/audit/prune";
import type { Context } from "@/server/services/context";
import { pruneEvents } from "@/server/services/events/prune";
import type { Parts } from "./parts";

const SWEEP_MS = 1000;
const PRUNE_MS = 3_600_000;
/** How often notifications that nobody took are dropped. */
const DROP_MS = 10_000;

/** Starts what is done time and again; returns what stops it. */
export function startJobs(
  { policy, registrations, notifier }: Parts,
  { clock, log, context }: { clock: Clock; log: Logger; context: Context },
): () => void {
  const timers = new Set<Timer>();
  let stopped = false;
  /** Does something time and again, each time so long after the time before has ended. */
  const every = (ms: number, what: string, run: () => Promise<unknown>) => {
    const next = () => {
      if (stopped) return;
      const timer = clock.after(ms, () => {
        timers.delete(timer);
        run()
          .catch((error) => log.error({ err: error }, `${what} failed`))
          .finally(next);
      });
      timers.add(timer);
    };
    next();
  };
  every(SWEEP_MS, "ending expired registrations", async () => {
    policy.sweep();
    await registrations.sweep();
  });
  every(DROP_MS, "deleting old notifications", () => notifier.sweep());
  every(PRUNE_MS, "deleting old events", () => pruneEvents(context).then(() => pruneAuditLog(context)));
  return () => {
    stopped = true;
    for (const timer of timers) timer.cancel();
  };
}
