// Bring your own module: `wasm` says where it is.
import { TollgateError } from "../errors.js";
import { startLean } from "../lean.js";
import { creatorWith } from "../scorer.js";

export * from "../index.js";

export const createScorer = creatorWith(startLean, () => {
  throw new TollgateError("WASM", "tollgate/slim: say where the module is, with `wasm`");
});
