// The ONNX module in edge functions: as in Workers, marked by the query.
import module from "./tollgate-onnx.wasm?module";
import { startOnnx } from "../onnx/start.js";
import { creatorWith } from "../scorer.js";

export * from "../index.js";

export const createScorer = creatorWith(startOnnx, () => module);
