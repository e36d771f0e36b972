// What every JavaScript runtime has to show, written for all of them: no file system, no
// process, only what is passed in. `runtime.get` brings a file of the vectors as bytes.
import { TRAP, behaviour } from "./behaviour.mjs";
import { graphs } from "./graphs.mjs";
import { hostile } from "./hostile.mjs";
import { records, roads, rows, tagged } from "./vectors.mjs";

export { TRAP };

/** The suites in the order of the table's columns. */
export const SUITES = { records, roads, rows, tagged, hostile, behaviour, graphs };

/** Runs every suite; a suite that throws counts as one that differs. */
export async function run(tollgate, get) {
  const results = {};
  for (const [name, suite] of Object.entries(SUITES)) {
    const tally = new Tally();
    try {
      await suite({ ...tollgate, get, tally });
    } catch (error) {
      tally.differs(`threw ${error?.stack ?? error}`);
    }
    results[name] = { compared: tally.compared, differing: tally.differing, first: tally.first };
  }
  return results;
}

/** How many answers were compared, how many differ, and the first that does. */
class Tally {
  compared = 0;
  differing = 0;
  first = "";

  same(what, got, want) {
    this.compared++;
    if (got !== want) this.#note(`${what}\n    want ${want}\n    got  ${got}`);
  }

  differs(what) {
    this.compared++;
    this.#note(what);
  }

  #note(what) {
    if (this.differing++ === 0) this.first = what;
  }
}
