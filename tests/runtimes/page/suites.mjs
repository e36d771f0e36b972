import * as tollgate from "/package/dist/browser.js";
import * as onnx from "/package/dist/onnx-browser.js";
import { run } from "/suite/index.mjs";

const get = async (path) => new Uint8Array(await (await fetch(`/data/${path}`)).arrayBuffer());

export async function suites() {
  // Where wasm is not allowed, say so at once and not a thousand times.
  const [bundle, trust] = [await get("vectors/signup/bundle.tollgate"), await get("vectors/signup/trust.key")];
  await tollgate.createScorer({ bundle, trust });
  return run({ ...tollgate, onnx }, get);
}
