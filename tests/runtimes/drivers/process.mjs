// Runs the suites in this process and prints the results: `process.mjs BASE_URL [require|slim|onnx]`.
// It lies in a project into which the packed package was installed.
import * as onnx from "tollgate/onnx";
import { run } from "./suite/index.mjs";

const [base, how = "import"] = process.argv.slice(2);
const get = async (path) => new Uint8Array(await (await fetch(`${base}/data/${path}`)).arrayBuffer());
console.log(`RESULTS ${JSON.stringify(await run({ ...(await load()), onnx }, get))}`);

async function load() {
  if (how === "require") {
    const { createRequire } = await import("node:module");
    return createRequire(import.meta.url)("tollgate");
  }
  if (how === "import") return import("tollgate");
  if (how === "onnx") return onnx;
  const { createScorer, TollgateError } = await import("tollgate/slim");
  const { readFile } = await import("node:fs/promises");
  const wasm = WebAssembly.compile(await readFile(new URL(import.meta.resolve("tollgate/tollgate.wasm"))));
  return { TollgateError, createScorer: (options) => createScorer({ wasm, ...options }) };
}
