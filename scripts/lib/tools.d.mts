/** A Chromium to test with: GANGWAY_CHROMIUM, or one of the usual places. */
export function findBrowser(): string | null;
/** The path of a program, null when it is not there. */
export function which(program: string): string | null;
