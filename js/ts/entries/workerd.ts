// Workers compile no bytes; there an import of a module gives it compiled.
import module from "./tollgate.wasm";
import { startLean } from "../lean.js";
import { creatorWith } from "../scorer.js";

export * from "../index.js";

export const createScorer = creatorWith(startLean, () => module);
