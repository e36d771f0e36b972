// One set of vectors, every runtime, one table: `node tests/runtimes/run.mjs [NAME...]`.
//
// `make npm-test` builds what it needs: the packed package, the vectors, the tools. A runtime
// that is not there is a line with its reason; those of REQUIRED have to be there.
import { cpSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { install } from "./project.mjs";
import { HERE, PROJECT, ROOT, TARGET } from "./places.mjs";
import { file, serve } from "./server.mjs";
import * as start from "./start.mjs";

const SUITES = ["records", "roads", "rows", "tagged", "hostile", "behaviour", "graphs"];
const RUNTIMES = {
  native: start.native("native"),
  wasmtime: start.native("wasmtime"),
  "wasmtime, Python": start.python,
  [`Node ${process.versions.node.split(".")[0]}`]: start.node("import"),
  [`Node ${process.versions.node.split(".")[0]}, require`]: start.node("require"),
  [`Node ${process.versions.node.split(".")[0]}, onnx`]: start.node("onnx"),
  "Node 22": start.nodeOf(22, "import"),
  "Node 24": start.nodeOf(24, "import"),
  "Node 26": start.nodeOf(26, "import"),
  "Node 26, require": start.nodeOf(26, "require"),
  "Node 26, slim": start.nodeOf(26, "slim"),
  Deno: start.deno,
  Bun: start.bun,
  workerd: start.workerd,
  "edge-runtime": start.edge,
  "Chromium, page": start.chromium("none", false),
  "Chromium, module worker": start.chromium("none", true),
  "Chromium, strict CSP": start.chromium("strict", false),
  "Chromium, strict CSP, worker": start.chromium("worker", true),
  "Chromium, CSP without wasm": refusedByPolicy,
  Firefox: start.firefox,
};
/** These have to run where npm has them, or the table has failed. */
const REQUIRED = /^(native|wasmtime|Node 20|Node 26|Deno|Bun|workerd|edge-runtime|Chromium)/;
const EVERYTHING_INSTALLS = process.platform === "linux" && process.arch === "x64";
const DECISIONS_AT_LEAST = 2000;

/** Policies by the first folder of a page's address. */
const POLICIES = {
  none: undefined,
  strict:
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; connect-src 'self'; base-uri 'none'; " +
    "form-action 'none'; require-trusted-types-for 'script'; trusted-types 'none'",
  worker: "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; connect-src 'self'",
  "no-wasm": "default-src 'none'; script-src 'self'; connect-src 'self'",
};

async function main(names) {
  const places = {
    vectors: join(ROOT, "tests/vectors"),
    edges: join(TARGET, "edges"),
    graphs: join(TARGET, "graphs"),
    hostile: join(ROOT, "target/hostile.bin"),
  };
  await install(PROJECT, []);
  for (const name of ["process.mjs", "worker.mjs", "edge.mjs"]) cpSync(join(HERE, "drivers", name), join(PROJECT, name));
  cpSync(join(HERE, "suite"), join(PROJECT, "suite"), { recursive: true });
  const server = await serve({
    page,
    data: (path, _, response) => file(pathOf(places, path), response, { "access-control-allow-origin": "*" }),
    suite: join(PROJECT, "suite"),
    package: join(PROJECT, "node_modules/tollgate"),
  });
  const folders = [places.vectors, places.edges, places.hostile];
  const input = { ...server, folders, vectors: folders.slice(0, 2), graphs: places.graphs, data: (path) => local(places, path) };
  const chosen = Object.keys(RUNTIMES).filter((name) => names.length === 0 || names.some((part) => name.startsWith(part)));
  const lines = [];
  for (const name of chosen) lines.push(await one(name, input));
  server.close();
  return report(lines);
}

/** Vectors, edges, graphs and hostile bundles by their addresses. */
function pathOf(places, path) {
  const [first, ...rest] = path.split("/");
  return rest.length === 0 ? places.hostile : join(places[first] ?? "", ...rest);
}

function local(places, path) {
  const at = pathOf(places, path.replace(/^\/data\//, ""));
  return existsSync(at) ? new Response(readFileSync(at)) : new Response(null, { status: 404 });
}

/** A file of the page under the policy that its address names; workers have their own. */
async function page(path, _, response) {
  const [first, name] = path.split("/");
  const policy = POLICIES[first];
  const headers = policy === undefined ? {} : { "content-security-policy": policy };
  await file(join(HERE, "page", name ?? ""), response, headers);
}

/** Without leave for wasm, the package says so by its code. */
async function refusedByPolicy(server) {
  const { code, error } = await start.chromium("no-wasm", false)(server);
  const tally = { compared: 1, differing: code === "WASM" ? 0 : 1, first: code === "WASM" ? "" : `${code} ${error}` };
  return { behaviour: tally };
}

async function one(name, input) {
  const began = performance.now();
  try {
    const results = await RUNTIMES[name](input);
    if (results.error) throw new Error(results.error);
    return { name, results, seconds: (performance.now() - began) / 1000 };
  } catch (error) {
    const required = EVERYTHING_INSTALLS && REQUIRED.test(name);
    if (error instanceof start.Skipped && !required) return { name, skipped: error.message };
    return { name, failed: String(error?.stack ?? error) };
  }
}

/** Prints the table; returns the exit status. */
function report(lines) {
  const cells = lines.map((line) => [line.name, ...SUITES.map((suite) => cell(line, suite)), seconds(line)]);
  const table = [["runtime", ...SUITES, "s"], ...cells];
  const widths = table[0].map((_, column) => Math.max(...table.map((row) => row[column].length)));
  for (const row of table) console.log(row.map((text, column) => text.padEnd(widths[column])).join("  ").trimEnd());
  const notes = lines.flatMap((line) => noted(line));
  console.log(`\na cell is: answers compared, or "of them differ"\n${notes.join("\n")}`);
  const tallies = lines.flatMap((line) => Object.values(line.results ?? {}));
  const differing = tallies.reduce((sum, tally) => sum + tally.differing, 0);
  const compared = tallies.reduce((sum, tally) => sum + tally.compared, 0);
  const broken = lines.filter((line) => line.failed).length;
  const few = lines.filter((line) => line.results?.records && decisions(line.results) < DECISIONS_AT_LEAST);
  for (const line of few) console.log(`${line.name}: fewer than ${DECISIONS_AT_LEAST} decisions compared`);
  mkdirSync(TARGET, { recursive: true });
  writeFileSync(join(TARGET, "runtimes.json"), JSON.stringify(lines, null, 2));
  const skipped = lines.filter((line) => line.skipped).length;
  console.log(`${differing} differing answers in ${lines.length - skipped} runtimes`);
  console.log(`${compared - differing} passed, ${differing + broken + few.length} failed, ${skipped} skipped`);
  return differing + broken + few.length === 0 && compared > 0 ? 0 : 1;
}

function decisions(results) {
  return ["records", "rows", "tagged"].reduce((sum, suite) => sum + (results[suite]?.compared ?? 0), 0);
}

function cell(line, suite) {
  const tally = line.results?.[suite];
  if (tally === undefined) return line.skipped ? "skipped" : line.failed ? "FAILED" : "-";
  return tally.differing === 0 ? String(tally.compared) : `${tally.differing} of ${tally.compared} DIFFER`;
}

function seconds(line) {
  return line.seconds === undefined ? "" : line.seconds.toFixed(1);
}

function noted(line) {
  if (line.skipped) return [`${line.name}: skipped: ${line.skipped}`];
  if (line.failed) return [`${line.name}: FAILED: ${line.failed}`];
  return Object.entries(line.results).flatMap(([suite, tally]) => (tally.first ? [`${line.name}, ${suite}: ${tally.first}`] : []));
}

process.exit(await main(process.argv.slice(2)));
