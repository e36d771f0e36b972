// One row of a 64-128-64-1 net: layers in the lean module, the graph in the ONNX module, and
// onnxruntime-web, in turn, in one process; a table in Markdown.
//   node nets.mjs FOLDER LEAN_WASM ONNX_WASM TRUST_KEY ONNXRUNTIME_WEB
// FOLDER is that of make_net.py, with layers.tollgate and graph.tollgate beside the sources.
import { readFileSync } from "node:fs";
import { cpus } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const [folder, leanPath, onnxPath, trustPath, packagePath] = process.argv.slice(2);
const WIDTH = 64;
// Rounds that do not count, until all is compiled, and those that do.
const WARMING = 10;
const ROUNDS = 61;
const CALLS = 500;

const file = readFileSync(join(folder, "rows.f64"));
const rows = new Float64Array(file.buffer.slice(file.byteOffset, file.byteOffset + file.length));
const count = rows.length / WIDTH;
// Made before the clock runs, as the tensors of onnxruntime-web are.
const feeds = Array.from({ length: count }, (_, index) => rows.subarray(index * WIDTH, (index + 1) * WIDTH));
// The last 32 bytes of the key file are the key.
const trust = Buffer.from(readFileSync(trustPath, "utf8").replace(/-----.*-----/g, ""), "base64").subarray(-32);

/** A bundle in a module; one row's raw score. */
async function ours(wasmPath, bundlePath) {
  const { instance } = await WebAssembly.instantiate(readFileSync(wasmPath));
  const { memory, ...calls } = instance.exports;
  const put = (bytes) => {
    const at = calls.tg_alloc(bytes.length) >>> 0;
    new Uint8Array(memory.buffer, at, bytes.length).set(bytes);
    return at;
  };
  const bundle = readFileSync(bundlePath);
  const handle = calls.tg_load(put(bundle), bundle.length, put(trust), trust.length, 0, 0n);
  if (handle < 0) throw new Error(`${bundlePath}: refused with ${-handle}`);
  const [at, to] = [calls.tg_alloc(WIDTH * 8) >>> 0, calls.tg_alloc(8) >>> 0];
  // A first row, after which the memory grows no more and views of it stay.
  calls.tg_predict(handle, at, 1, 1, to);
  const [values, result] = [new Float64Array(memory.buffer, at, WIDTH), new Float64Array(memory.buffer, to, 1)];
  return (index) => {
    values.set(feeds[index]);
    calls.tg_predict(handle, at, 1, 1, to);
    return result[0];
  };
}

async function runtimeWeb() {
  const ort = await import(pathToFileURL(join(packagePath, "dist", "ort.node.min.mjs")).href);
  ort.env.wasm.numThreads = 1;
  ort.env.logLevel = "error";
  const session = await ort.InferenceSession.create(readFileSync(join(folder, "layers/model.onnx")), { executionProviders: ["wasm"] });
  const tensors = feeds.map((row) => ({ X: new ort.Tensor("float32", Float32Array.from(row), [1, WIDTH]) }));
  return async (index) => (await session.run(tensors[index])).P.data[0];
}

const lean = await ours(leanPath, join(folder, "layers.tollgate"));
const graph = await ours(onnxPath, join(folder, "graph.tollgate"));
const web = await runtimeWeb();
for (let index = 0; index < 100; index++) {
  const [a, b, c] = [lean(index), graph(index), await web(index)];
  if (Math.max(Math.abs(a - c), Math.abs(b - c)) > 1e-5) throw new Error(`row ${index}: ${a}, ${b}, ${c}`);
}
const times = { lean: [], graph: [], web: [] };
for (let round = -WARMING; round < ROUNDS; round++) {
  if (round === 0) Object.values(times).forEach((list) => list.splice(0));
  for (const [name, run] of [["lean", lean], ["graph", graph]]) {
    const start = performance.now();
    for (let call = 0; call < CALLS; call++) run(call % count);
    times[name].push(((performance.now() - start) * 1000) / CALLS);
  }
  const start = performance.now();
  for (let call = 0; call < CALLS; call++) await web(call % count);
  times.web.push(((performance.now() - start) * 1000) / CALLS);
}
const middle = (list) => [...list].sort((a, b) => a - b)[list.length >> 1];
const spread = (list, digits) =>
  `${middle(list).toFixed(digits)} (${Math.min(...list).toFixed(digits)} to ${Math.max(...list).toFixed(digits)})`;
const line = (name, own) =>
  `| ${name} | ${spread(own, 2)} | ${spread(own.map((time, round) => times.web[round] / time), 1)} |`;
console.log(`One row of a 64-128-64-1 net with Relu in Node ${process.versions.node} on ${cpus()[0].model}: medians of ${ROUNDS} rounds
of ${CALLS} calls, in turn (and the extremes).

| one row | us | onnxruntime-web takes times as long |
| --- | ---: | ---: |
${line("layers in tollgate.wasm", times.lean)}
${line("the graph in tollgate-onnx.wasm", times.graph)}
${line("onnxruntime-web, one thread", times.web)}`);
