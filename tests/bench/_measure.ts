/** What a number of operations took. */
export interface Rate {
  /** With the load on the other core. */
  perSecond: number;
  /** Of processor time of the process that is measured. */
  perCpuSecond: number;
}

/** Runs `work`, which does `count` operations on a process, and says how many of them a second holds. */
export async function measure<T>(
  measured: { cpuSeconds(): number },
  count: number,
  work: () => Promise<T>,
): Promise<Rate & { result: T }> {
  const cpu = measured.cpuSeconds();
  const start = performance.now();
  const result = await work();
  const seconds = (performance.now() - start) / 1000;
  return { result, perSecond: count / seconds, perCpuSecond: count / (measured.cpuSeconds() - cpu) };
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

/** Both rates as rows of the table; the first is what one core of the process can do. */
export function rateRows(metric: string, rate: Rate, aim: number, limitedBy: string, what = "gateway") {
  return [
    { metric: `${metric}, per second of ${what} CPU`, value: rate.perCpuSecond, unit: "/s", aim, limitedBy },
    { metric: `${metric}, with the load on the other core`, value: rate.perSecond, unit: "/s" },
  ];
}

/** The value that a part of them does not exceed. */
export function quantile(values: readonly number[], part: number): number {
  const sorted = Float64Array.from(values).sort();
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? Number.NaN;
}
