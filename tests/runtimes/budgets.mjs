// Sizes and times of the packed package, and whether they keep to the budgets.
//
// Times are the best of many rounds, for a busy machine makes nothing faster; differences to
// the bare kernel come from rounds in turn. The limits are those of a machine whose kernel
// takes KERNEL_US a row: on a slower one they grow in proportion, and never shrink.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { brotliCompressSync, constants } from "node:zlib";
import { PROJECT, ROOT, TARGET } from "./places.mjs";

const DIST = join(PROJECT, "node_modules/tollgate/dist");
const ROUNDS = 60;
const CALLS = 2000;
/** What the model alone takes for a row of 500 trees, on the machine of the budgets. */
const KERNEL_US = 3.5;
/** A machine that was busy all along gets another chance. */
const TRIES = 3;

/** What is aimed at, and what may not be exceeded. */
const BUDGETS = {
  "module and scripts, brotli": { unit: "KiB", aim: 60, most: 96 },
  "forest of 500 trees × 31 leaves, brotli": { unit: "KiB", aim: 120, most: 200 },
  "compile and instantiate": { unit: "ms", aim: 1, most: 3 },
  "verify and load 500 trees": { unit: "ms", aim: 3, most: 8 },
  "score(object) over the bare kernel": { unit: "µs", aim: 1.5, most: 4 },
  "scoreRow over the bare kernel": { unit: "µs", aim: 0.5, most: 1.5 },
};

async function main() {
  const { createScorer } = await import(pathToFileURL(join(DIST, "inline.js")).href);
  const wasm = readFileSync(join(DIST, "tollgate.wasm"));
  const big = readFileSync(join(TARGET, "edges/big.tollgate"));
  const trust = new Uint8Array(readFileSync(join(ROOT, "tests/vectors/signup/trust.key")));
  const module = await WebAssembly.compile(wasm);
  const load = () => createScorer({ bundle: big, trust, wasm: module });
  const { scorer, kernel } = await withKernel(load);
  const sizes = [scripts().concat(wasm).reduce((sum, file) => sum + brotli(file), 0) / 1024, brotli(big) / 1024];
  let lines = [];
  for (let round = 0; round < TRIES; round++) {
    const { whole, row, bare } = calls(scorer, kernel);
    const start = await best(async () => new WebAssembly.Instance(await WebAssembly.compile(wasm), imports(module)));
    lines = judged([...sizes, start, await best(load), whole - bare, row - bare], bare);
    if (round === 0 || lines.some((line) => !line.kept)) print(lines, bare);
    if (lines.every((line) => line.kept)) return 0;
  }
  return 1;
}

/** Each figure beside its budget; sizes do not depend on the machine. */
function judged(measured, bare) {
  const slower = Math.max(1, bare / KERNEL_US);
  return Object.entries(BUDGETS).map(([what, budget], at) => {
    const most = budget.unit === "KiB" ? budget.most : budget.most * slower;
    return { what, measured: measured[at], kept: measured[at] <= most, ...budget };
  });
}

/** A scorer, and the model's walk alone: the module's own function, without a word of script. */
async function withKernel(load) {
  const { Instance } = WebAssembly;
  let exports;
  WebAssembly.Instance = class extends Instance {
    constructor(...parameters) {
      super(...parameters);
      exports = this.exports;
    }
  };
  const scorer = await load();
  WebAssembly.Instance = Instance;
  return { scorer, kernel: () => exports.predict(0) };
}

/** The browser's entry and every script that it loads. */
function scripts() {
  const waiting = ["browser.js"];
  const found = new Map();
  for (let name = waiting.pop(); name !== undefined; name = waiting.pop()) {
    if (found.has(name)) continue;
    const text = readFileSync(join(DIST, name));
    found.set(name, text);
    for (const [, imported] of text.toString().matchAll(/from\s*"\.\/([^"]+\.js)"|import\s*"\.\/([^"]+\.js)"/g)) waiting.push(imported);
  }
  return [...found.values()];
}

function brotli(file) {
  return brotliCompressSync(file, { params: { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_SIZE_HINT]: file.length } }).length;
}

/** Functions in the place of what the glue would bring: instantiating calls none of them. */
function imports(module) {
  const found = {};
  for (const { module: from, name } of WebAssembly.Module.imports(module)) (found[from] ??= {})[name] = () => undefined;
  return found;
}

/** The shortest of many runs, in milliseconds. */
async function best(run) {
  let least = Number.POSITIVE_INFINITY;
  for (let round = 0; round < ROUNDS; round++) {
    const began = performance.now();
    await run();
    least = Math.min(least, performance.now() - began);
  }
  return least;
}

/** Microseconds a call: an object of 40 numbers, a typed row, and the model alone. */
function calls(scorer, bare) {
  const names = scorer.describe().features.map((feature) => feature.name);
  const cells = Float64Array.from(names, (_, at) => (at * 37) % 64);
  const object = Object.fromEntries(names.map((name, at) => [name, cells[at]]));
  const runs = { whole: () => scorer.score(object), row: () => scorer.scoreRow(cells), bare };
  const least = { whole: Number.POSITIVE_INFINITY, row: Number.POSITIVE_INFINITY, bare: Number.POSITIVE_INFINITY };
  for (let round = 0; round < ROUNDS; round++) {
    for (const [name, run] of Object.entries(runs)) {
      const began = performance.now();
      for (let call = 0; call < CALLS; call++) run();
      least[name] = Math.min(least[name], ((performance.now() - began) * 1000) / CALLS);
    }
  }
  return least;
}

function print(lines, bare) {
  console.log(`\nNode ${process.versions.node}, ${process.arch}; the bare kernel takes ${bare.toFixed(2)} µs a row\n`);
  console.log("| | measured | aim | not above |\n|---|---:|---:|---:|");
  for (const { what, measured, unit, aim, most, kept } of lines) {
    const over = kept ? "" : " TOO MUCH";
    console.log(`| ${what} | ${measured.toFixed(2)} ${unit}${over} | ${aim} ${unit} | ${most} ${unit} |`);
  }
}

process.exitCode = await main();
