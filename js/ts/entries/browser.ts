// Browsers fetch the module beside this file; bundlers see the URL and emit it once.
import { creatorWith } from "../scorer.js";

export * from "../index.js";

export const createScorer = creatorWith(() => new URL("./tollgate.wasm", import.meta.url));
