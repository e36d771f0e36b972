// Browsers fetch the module beside this file; bundlers see the URL and emit it once.
import { compile } from "../bytes.js";
import { creatorWith } from "../scorer.js";

export * from "../index.js";

export const createScorer = creatorWith(() => compile(new URL("./tollgate.wasm", import.meta.url)));
