/** Progress in lines: on a terminal the running step counts its seconds, elsewhere each step is one line. */

const seconds = (ms) => (ms < 9_950 ? `${(ms / 1000).toFixed(1)} s` : `${Math.round(ms / 1000)} s`);

/** An error whose message is all a person needs to see. */
export class StepError extends Error {}

export class Progress {
  /** @param {NodeJS.WriteStream} out where the lines go; `quiet` leaves out steps that had nothing to do. */
  constructor(out = process.stdout, { quiet = false } = {}) {
    this.out = out;
    this.quiet = quiet;
  }

  /** A step that had nothing to do. */
  skipped(title) {
    if (!this.quiet) this.out.write(`  ${title}: unchanged\n`);
  }

  /** A line of its own. */
  say(line) {
    this.out.write(`  ${line}\n`);
  }

  /** Runs one step and shows how long it takes. */
  async step(title, run) {
    const started = performance.now();
    const elapsed = () => seconds(performance.now() - started);
    const live = this.out.isTTY === true;
    let timer;
    if (live) {
      const draw = () => this.out.write(`\r\x1b[K  ${title} … ${elapsed()}`);
      draw();
      timer = setInterval(draw, 500);
    } else {
      this.out.write(`  ${title} … `);
    }
    try {
      const result = await run();
      clearInterval(timer);
      this.out.write(live ? `\r\x1b[K  ${title}: ${elapsed()}\n` : `${elapsed()}\n`);
      return result;
    } catch (error) {
      clearInterval(timer);
      this.out.write(
        live ? `\r\x1b[K  ${title}: failed after ${elapsed()}\n` : `failed after ${elapsed()}\n`,
      );
      throw error;
    }
  }
}

/** Runs a script's main function: a StepError ends in its message, anything else in its stack. */
export function main(run) {
  run().catch((error) => {
    process.stderr.write(`\n${error instanceof StepError ? error.message : (error?.stack ?? error)}\n`);
    process.exit(1);
  });
}
