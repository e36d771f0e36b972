// Browsers fetch the ONNX module beside this file, or from where `wasm` says.
import { startOnnx } from "../onnx/start.js";
import { creatorWith } from "../scorer.js";

export * from "../index.js";

export const createScorer = creatorWith(startOnnx, () => new URL("./tollgate-onnx.wasm", import.meta.url));
