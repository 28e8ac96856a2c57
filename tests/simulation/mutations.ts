import { spawn } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

/** A fault that is planted on purpose: a simulation that does not find it is not hard enough. */
export interface Mutation {
  name: string;
  file: string;
  /** Text that the file has exactly once, and what stands in its place. */
  patches: readonly (readonly [find: string, replace: string])[];
  /** What has to happen often for it to be found soon. */
  faults?: string;
  /** Found by the runs that lose one datagram of each device. */
  loseOne?: boolean;
}

export const MUTATIONS: readonly Mutation[] = [
  {
    name: "a late answer to Finish ends the registration that came meanwhile",
    file: "server/gateway/bootstrap/endpoint.ts",
    patches: [
      [
        `registrations.end(turn, former, "bootstrapped", {`,
        `registrations.end(turn, this.parts.directory.registrationOf(deviceId) ?? former, "bootstrapped", {`,
      ],
    ],
  },
  {
    name: "memory runs ahead of the disk at Register",
    file: "server/gateway/registration/registrations.ts",
    faults: "diskFull=20,powerCuts=15",
    patches: [
      [
        `    await commit.addAll(rows);

    directory.putRegistration(registration);`,
        `    directory.putRegistration(registration);
    await commit.addAll(rows);
`,
      ],
    ],
  },
  {
    name: "Register is answered before it is on disk",
    file: "server/gateway/registration/registrations.ts",
    patches: [
      [
        `    await commit.addAll(rows);

    directory.putRegistration(registration);`,
        `    commit.addAll(rows).catch(() => {});
    directory.putRegistration(registration);`,
      ],
    ],
  },
  {
    name: "Update is answered before it is on disk",
    file: "server/gateway/registration/registrations.ts",
    patches: [
      [
        `    await commit.addAll(rows);

    const before = { ...registration };`,
        `    commit.addAll(rows).catch(() => {});
    const before = { ...registration };`,
      ],
    ],
  },
  {
    name: "an event is told before it is on disk",
    file: "server/gateway/timeline.ts",
    patches: [
      [
        `    this.commit.note(eventStatement, row, {`,
        `    if (watched(row.accountId)) publish(eventMessage(row));
    this.commit.note(eventStatement, row, {`,
      ],
    ],
  },
  {
    name: "an Execute is sent once more",
    file: "server/gateway/requests.ts",
    faults: "killedAtExecute=0.5,requests=400",
    patches: [
      [`if (mustNotRepeat(request.method) && !request.sent) {`, `if (request.method === ("" as never)) {`],
      [
        `sent: mustNotRepeat(method) && waiting.length === 0`,
        `sent: method === ("" as never) && waiting.length === 0`,
      ],
    ],
  },
  {
    name: "who waits for a first value is forgotten with the process",
    file: "server/gateway/subscriptions.ts",
    patches: [
      [
        `        this.#in(deviceId).subscribe(path, ownerId).push({ asyncId, actor });`,
        `        this.#in(deviceId).subscribe(path, ownerId);`,
      ],
    ],
  },
  {
    name: "who waits for a device that leaves is told nothing",
    file: "server/gateway/subscriptions.ts",
    faults: "switchedOff=10,requests=600",
    patches: [
      [
        `        taken.flatMap(({ asyncId }) => this.#left(deviceId, ownerId, asyncId)),`,
        `        taken.flatMap(({ asyncId }) => this.#left(deviceId, ownerId, asyncId).slice(0, 1)),`,
      ],
    ],
  },
  {
    name: "the end of a request is lost when it cannot be written",
    file: "server/gateway/requests.ts",
    faults: "diskFull=20,requests=400",
    patches: [[`.insist(`, `.addAll(`]],
  },
  {
    name: "two devices are handed one unfinished entry",
    file: "server/gateway/admission.ts",
    faults: "wiped=10,powerCuts=10,killedBefore=0.05",
    patches: [
      [
        `const leftover = this.directory.takeUnfinished(device, peer.remote.address);`,
        `const leftover = false;`,
      ],
    ],
  },
  {
    name: "a restored DTLS session goes on with numbers that were used",
    file: "server/transport/dtls.ts",
    patches: [
      [
        `const state = restoreState(stored.state, sequence);`,
        `const state = restoreState(stored.state, sequence - RESERVE_BLOCK);`,
      ],
    ],
  },
  {
    name: "a device that ignores the first request of bootstrap ignores all that repeat it",
    file: "server/gateway/bootstrap/session.ts",
    patches: [[`  #renew = true;`, `  #renew = false;`]],
    loseOne: true,
  },
];

/** What a run of the simulation needs of a checkout; the rest stays where it is. */
const COPIED = ["server", "tests", "prisma", "package.json", "tsconfig.json"];
const LINKED = ["node_modules", "generated"];

/** Applies a mutation to a text; throws when the text is not there exactly once. */
export function mutate(text: string, { name, file, patches }: Mutation): string {
  let mutated = text;
  for (const [find, replace] of patches) {
    const parts = mutated.split(find);
    if (parts.length !== 2) throw new Error(`${name}: ${file} has ${parts.length - 1} times: ${find}`);
    mutated = parts.join(replace);
  }
  return mutated;
}

/** Runs the simulation on a copy of the project with a fault planted, until it is found or the time is up. */
export async function runMutated(
  mutation: Mutation,
  minutes: number,
): Promise<{ found: boolean; output: string; seconds: number }> {
  const folder = mkdtempSync(join(tmpdir(), "gangway-mutation-"));
  try {
    for (const name of COPIED) cpSync(resolve(name), join(folder, name), { recursive: true });
    for (const name of LINKED) symlinkSync(resolve(name), join(folder, name));
    const file = join(folder, mutation.file);
    writeFileSync(file, mutate(readFileSync(file, "utf8"), mutation));
    const start = performance.now();
    const { faults = "" } = mutation;
    const seeds = [
      "--seed",
      "1",
      "--minutes",
      String(minutes),
      "--hours",
      "1",
      "--devices",
      "6",
      "--faults",
      faults,
    ];
    const args = mutation.loseOne ? ["--lose-one"] : seeds;
    const child = spawn(process.execPath, ["--import", "tsx", "tests/simulation/run.ts", ...args], {
      cwd: folder,
      stdio: ["ignore", "pipe", "pipe"],
    });
    let output = "";
    for (const stream of [child.stdout, child.stderr])
      stream.on("data", (chunk: Buffer) => {
        output += chunk.toString();
      });
    const code = await new Promise<number | null>((done) => child.once("exit", done));
    const found = output.includes("broke a promise");
    if (!found && code !== 0)
      throw new Error(`The simulation does not run with “${mutation.name}”:\n${output}`);
    return { found, output, seconds: (performance.now() - start) / 1000 };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
