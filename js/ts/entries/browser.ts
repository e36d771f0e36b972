// Browsers fetch the module beside this file; bundlers see the URL and emit it once.
import { startLean } from "../lean.js";
import { creatorWith } from "../scorer.js";

export * from "../index.js";

export const createScorer = creatorWith(startLean, () => new URL("./tollgate.wasm", import.meta.url));
