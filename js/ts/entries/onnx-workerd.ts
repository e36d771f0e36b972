// The ONNX module in Workers, which hand it over compiled.
import module from "./tollgate-onnx.wasm";
import { startOnnx } from "../onnx/start.js";
import { creatorWith } from "../scorer.js";

export * from "../index.js";

export const createScorer = creatorWith(startOnnx, () => module);
