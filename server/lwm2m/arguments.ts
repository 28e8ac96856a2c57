import { ContentError } from "./errors";
import { shown } from "./values";

/** One argument of an Execute: a digit and, perhaps, a value. */
export interface ExecuteArgument {
  digit: number;
  value: string | null;
}

/** Reads `0='a',1,2='b'` [LwM2M-Core 1.1.1 §6.3.5]; throws ContentError where it breaks the syntax. */
export function parseArguments(text: string): ExecuteArgument[] {
  const found: ExecuteArgument[] = [];
  // A value is what stands between quotes: any printable ASCII but the quote itself.
  const argument = /([0-9])(?:='([\x20-\x26\x28-\x7e]*)')?/y;
  let at = 0;
  while (text !== "") {
    argument.lastIndex = at;
    const match = argument.exec(text);
    if (!match)
      throw new ContentError(
        `The arguments ${shown(text)} are not of the form 0='value',1 at character ${at + 1}.`,
      );
    const digit = Number(match[1]);
    if (found.some((one) => one.digit === digit))
      throw new ContentError(`The argument ${digit} is given twice.`);
    found.push({ digit, value: match[2] ?? null });
    at = argument.lastIndex;
    if (at === text.length) break;
    if (text[at] !== ",") {
      throw new ContentError(
        `The arguments ${shown(text)} are not of the form 0='value',1 at character ${at + 1}.`,
      );
    }
    at++;
  }
  return found;
}
