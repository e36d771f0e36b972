// Node, Deno, Bun and everything else: the module stands in the package's own text, so there
// is no file to find, whatever bundles or moves this code.
import { fromBase64 } from "../bytes.js";
import { WASM_BASE64 } from "../../pkg/inline.js";
import { startLean } from "../lean.js";
import { creatorWith } from "../scorer.js";

export * from "../index.js";

export const createScorer = creatorWith(startLean, () => fromBase64(WASM_BASE64));
