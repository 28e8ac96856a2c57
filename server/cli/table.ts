/** Rows as aligned columns; an empty cell is a dash. */
export function table(headings: readonly string[], rows: readonly (readonly string[])[]): string {
  const lines = [headings, ...rows].map((cells) => cells.map((cell) => printable(cell) || "–"));
  const widths = headings.map((_, column) => Math.max(...lines.map((cells) => cells[column]?.length ?? 0)));
  return lines
    .map((cells) =>
      cells
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join("  ")
        .trimEnd(),
    )
    .map((line) => `${line}\n`)
    .join("");
}

/** Text without control characters: names come from devices, and a terminal obeys what it is sent. */
export const printable = (text: string): string => text.replace(/\p{C}/gu, "�");

/** A time to the second, in UTC. */
export const moment = (at: Date | null): string => at?.toISOString().replace(/\.\d+Z$/, "Z") ?? "";

/** A day, in UTC. */
export const day = (at: Date | null): string => at?.toISOString().slice(0, 10) ?? "";

/** JSON for scripts. */
export const json = (value: unknown): string => `${JSON.stringify(value, null, 2)}\n`;
