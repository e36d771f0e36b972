// Edge functions of Vercel and Next: as in Workers, marked by the query.
import module from "./tollgate.wasm?module";
import { startLean } from "../lean.js";
import { creatorWith } from "../scorer.js";

export * from "../index.js";

export const createScorer = creatorWith(startLean, () => module);
