/** One line may be this long; longer means that the other side is not one of ours. */
export const MAX_LINE_BYTES = 4 * 1024 * 1024;

/** Cuts a byte stream into lines; throws RangeError when one grows beyond `maxBytes`. */
export class LineReader {
  #parts: Buffer[] = [];
  #size = 0;

  constructor(
    private readonly online: (line: string) => void,
    private readonly maxBytes = MAX_LINE_BYTES,
  ) {}

  push(chunk: Buffer): void {
    let start = 0;
    for (;;) {
      const end = chunk.indexOf(0x0a, start);
      const part = chunk.subarray(start, end < 0 ? chunk.length : end);
      this.#size += part.length;
      if (this.#size > this.maxBytes) throw new RangeError(`a line of more than ${this.maxBytes} bytes`);
      if (end < 0) {
        if (part.length > 0) this.#parts.push(part);
        return;
      }
      const line = this.#parts.length === 0 ? part : Buffer.concat([...this.#parts, part]);
      this.#parts = [];
      this.#size = 0;
      start = end + 1;
      if (line.length > 0) this.online(line.toString("utf8"));
    }
  }
}
