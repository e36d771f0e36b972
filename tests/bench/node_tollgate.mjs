// Tollgate in Node: tollgate.wasm and a bundle through the C ABI of scorer/wasm/README.md.
//   node node_tollgate.mjs MODULE BUNDLE KEY_HEX ROWS_F64 FEATURES
// Every cost counts: rows are copied into the module's memory and results out of it.
import { readFileSync } from "node:fs";
import { percentiles, perRow, readRows, serve, tiled } from "./lines.mjs";

const CHECKED_ROWS = 100;
const RESULT_BYTES = 64;
const [modulePath, bundlePath, keyHex, rowPath, features] = process.argv.slice(2);
const width = Number(features);

class Tollgate {
  constructor(compiled) {
    this.calls = new WebAssembly.Instance(compiled, {}).exports;
  }

  bytes(at, length) {
    return new Uint8Array(this.calls.memory.buffer, at, length);
  }

  // A view stays good until the memory grows, which replaces its buffer.
  numbers(at, length) {
    if (this.view?.buffer !== this.calls.memory.buffer || this.view.byteOffset !== at || this.view.length !== length) {
      this.view = new Float64Array(this.calls.memory.buffer, at, length);
    }
    return this.view;
  }

  alloc(length) {
    const at = this.calls.tg_alloc(length) >>> 0;
    if (at === 0) throw new Error("the module has no memory left");
    return at;
  }

  put(content) {
    const at = this.alloc(content.length);
    this.bytes(at, content.length).set(content);
    return at;
  }

  checked(status) {
    if (status >= 0) return status;
    const text = this.bytes(this.calls.tg_output() >>> 0, this.calls.tg_output_bytes());
    throw new Error(new TextDecoder().decode(text));
  }

  load(bundle, keys) {
    const [file, trusted] = [this.put(bundle), this.put(keys)];
    const handle = this.calls.tg_load(file, bundle.length, trusted, keys.length, 0, 0n);
    this.calls.tg_free(trusted, keys.length);
    this.calls.tg_free(file, bundle.length);
    return this.checked(handle);
  }
}

const key = Buffer.from(keyHex, "hex");
const begun = performance.now();
const file = readFileSync(modulePath);
const bundle = readFileSync(bundlePath);
const read = performance.now();
const compiled = new WebAssembly.Module(file);
const tollgate = new Tollgate(compiled);
const made = performance.now();
const handle = tollgate.load(bundle, key);
const loaded = performance.now();
const rowAt = tollgate.alloc(width * 8);
const scoreAt = tollgate.alloc(8);
const resultAt = tollgate.alloc(RESULT_BYTES);
const { tg_predict, tg_score_row } = tollgate.calls;
const memory = tollgate.calls.memory;

function predict(row) {
  tollgate.numbers(rowAt, width).set(row);
  tollgate.checked(tg_predict(handle, rowAt, 1, 0, scoreAt));
  return new DataView(memory.buffer).getFloat64(scoreAt, true);
}

function score(row) {
  tollgate.numbers(rowAt, width).set(row);
  tollgate.checked(tg_score_row(handle, rowAt, 0, width, resultAt));
  return new DataView(memory.buffer).getFloat64(resultAt + 8, true);
}

const rows = readRows(rowPath, width);
const firstRow = performance.now();
const firstScore = predict(rows[0]);
const done = performance.now();

let sink = firstScore;
function each(variant, call) {
  return (count) => {
    const times = new Float64Array(count);
    for (let i = 0; i < count; i++) {
      const row = rows[i % rows.length];
      const start = performance.now();
      sink += call(row);
      times[i] = performance.now() - start;
    }
    return percentiles(variant, times);
  };
}

// Room for the batch is kept between calls; Node has no bound on a call's time to heed.
const rooms = new Map();
function room(count) {
  if (!rooms.has(count)) {
    rooms.set(count, [tiled(rows, count), tollgate.alloc(count * width * 8), tollgate.alloc(count * 8)]);
  }
  return rooms.get(count);
}

function batch(count) {
  const [input, at, out] = room(count);
  const start = performance.now();
  new Float64Array(memory.buffer, at, input.length).set(input);
  tollgate.checked(tg_predict(handle, at, count, 0, out));
  const scores = new Float64Array(memory.buffer, out, count).slice();
  const ms = performance.now() - start;
  sink += scores[0];
  return perRow("node_batch", ms, count);
}

function loads(count) {
  const times = new Float64Array(count);
  for (let i = 0; i < count; i++) {
    const start = performance.now();
    new Tollgate(compiled).load(bundle, key);
    times[i] = performance.now() - start;
  }
  return { p50_ms: percentiles("load", times).p50_ns / 1e6 };
}

await serve(
  {
    runtime: `Node ${process.versions.node}, V8 ${process.versions.v8}`,
    start_ms: { read: read - begun, module: made - read, load: loaded - made, first_row: done - firstRow,
      total: loaded - begun + (done - firstRow) },
  },
  {
    node_predict: each("node_predict", predict),
    node_score: each("node_score", score),
    node_batch: batch,
  },
  { predict: () => rows.slice(0, CHECKED_ROWS).map(predict), load: loads },
);
if (Number.isNaN(sink)) console.error("a score was not a number");
