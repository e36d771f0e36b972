// Node, Deno and Bun read the ONNX module from the file beside this one.
import { readFile } from "node:fs/promises";
import { startOnnx } from "../onnx/start.js";
import { creatorWith } from "../scorer.js";

export * from "../index.js";

export const createScorer = creatorWith(startOnnx, () => readFile(new URL("./tollgate-onnx.wasm", import.meta.url)));
