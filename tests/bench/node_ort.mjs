// onnxruntime-web in Node: the Wasm backend, one thread.
//   node node_ort.mjs PACKAGE MODEL IDENTITY MODEL_ANY_ROWS ROWS_F64 FEATURES
// The overhead of a call is an Identity graph with the same input, called the same way.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { percentiles, perRow, readRows, serve, tiled } from "./lines.mjs";

const CHECKED_ROWS = 100;
const [packagePath, modelPath, identityPath, anyRowsPath, rowPath, features] = process.argv.slice(2);
const width = Number(features);
const entry = pathToFileURL(join(packagePath, "dist", "ort.node.min.mjs")).href;

const begun = performance.now();
const ort = await import(entry);
const imported = performance.now();
ort.env.wasm.numThreads = 1;
ort.env.logLevel = "error";
const options = { executionProviders: ["wasm"], graphOptimizationLevel: "all", executionMode: "sequential",
  intraOpNumThreads: 1, interOpNumThreads: 1 };
const open = (path) => ort.InferenceSession.create(readFileSync(path), options);
const session = await open(modelPath);
const created = performance.now();
const rows = readRows(rowPath, width).map((row) => Float32Array.from(row));
const tensor = (row) => new ort.Tensor("float32", row, [row.length / width, width]);
const [input, output] = [session.inputNames[0], session.outputNames[0]];
const firstRow = performance.now();
await session.run({ [input]: tensor(rows[0]) });
const done = performance.now();

const identity = await open(identityPath);
const anyRows = await open(anyRowsPath);
const feeds = rows.map((row) => ({ [input]: tensor(row) }));
const emptyFeeds = rows.map((row) => ({ [identity.inputNames[0]]: tensor(row) }));

async function one(count) {
  const times = new Float64Array(count);
  for (let i = 0; i < count; i++) {
    const feed = feeds[i % feeds.length];
    const start = performance.now();
    await session.run(feed);
    times[i] = performance.now() - start;
  }
  const empty = new Float64Array(count);
  for (let i = 0; i < count; i++) {
    await session.run(feeds[i % feeds.length]);
    const feed = emptyFeeds[i % feeds.length];
    const start = performance.now();
    await identity.run(feed);
    empty[i] = performance.now() - start;
  }
  return { ...percentiles("ort_web", times), overhead_ns: percentiles("empty", empty).p50_ns };
}

const batches = new Map();
async function batch(count) {
  if (!batches.has(count)) batches.set(count, { [input]: tensor(tiled(rows, count, Float32Array)) });
  const start = performance.now();
  await anyRows.run(batches.get(count));
  const middle = performance.now();
  await anyRows.run(feeds[0]);
  return { ...perRow("ort_web_batch", middle - start, count), one_row_ns: (performance.now() - middle) * 1e6 };
}

async function predict() {
  const scores = [];
  for (const feed of feeds.slice(0, CHECKED_ROWS)) scores.push((await session.run(feed))[output].data[0]);
  return scores;
}

await serve(
  {
    runtime: `Node ${process.versions.node}, V8 ${process.versions.v8}`,
    start_ms: { import: imported - begun, session: created - imported, first_row: done - firstRow,
      total: created - begun + (done - firstRow) },
  },
  { ort_web: one, ort_web_batch: batch },
  { predict },
);
process.exit(0);
