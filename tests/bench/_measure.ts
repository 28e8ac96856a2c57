import type { GatewayProcess } from "../support/gateway-process";

/** What a number of operations took. */
export interface Rate {
  /** With the load on the other core. */
  perSecond: number;
  /** Of processor time of the gateway. */
  perCpuSecond: number;
}

/** Runs `work`, which does `count` operations on the gateway, and says how many of them a second holds. */
export async function measure<T>(
  gateway: GatewayProcess,
  count: number,
  work: () => Promise<T>,
): Promise<Rate & { result: T }> {
  const cpu = gateway.cpuSeconds();
  const start = performance.now();
  const result = await work();
  const seconds = (performance.now() - start) / 1000;
  return { result, perSecond: count / seconds, perCpuSecond: count / (gateway.cpuSeconds() - cpu) };
}

/** Does `run` for every item, so many at a time; the results in order. */
export async function concurrently<T, R>(
  items: readonly T[],
  atATime: number,
  run: (item: T) => Promise<R>,
): Promise<R[]> {
  const results: R[] = [];
  let next = 0;
  const worker = async () => {
    while (next < items.length) {
      const index = next++;
      results[index] = await run(items[index] as T);
    }
  };
  await Promise.all(Array.from({ length: atATime }, worker));
  return results;
}

/** Both rates as rows of the table; the second is what one core of the gateway can do. */
export function rateRows(metric: string, rate: Rate, aim: number, limitedBy: string) {
  return [
    { metric: `${metric}, per second of gateway CPU`, value: rate.perCpuSecond, unit: "/s", aim, limitedBy },
    { metric: `${metric}, with the load on the other core`, value: rate.perSecond, unit: "/s" },
  ];
}
