/** What a value becomes on its way to the browser as JSON. */
export type Wire<T> = T extends Date
  ? string
  : T extends Uint8Array
    ? never
    : T extends readonly (infer E)[]
      ? Wire<E>[]
      : T extends object
        ? { [K in keyof T]: Wire<T[K]> }
        : T;

/** The same shape whether a page was rendered here or asked later. */
export function toWire<T>(value: T): Wire<T> {
  return (value === undefined ? null : JSON.parse(JSON.stringify(value))) as Wire<T>;
}
