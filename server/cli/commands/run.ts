import type { Command } from "../command";

export const runCommands: readonly Command[] = [];
