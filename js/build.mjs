// Builds the npm package into dist/: wasm-pack, wasm-opt, the TypeScript layer, its types. The
// ONNX module is there already, and is copied.
//
//   node build.mjs            needs wasm-pack, wasm-bindgen of the crate's version and wasm-opt
//                             on the PATH, and the devDependencies; `make npm` sees to it all
import { execFileSync } from "node:child_process";
import { copyFileSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { homedir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const HERE = fileURLToPath(new URL(".", import.meta.url));
const PKG = join(HERE, "pkg");
const DIST = join(HERE, "dist");
/** What every runtime we name has; relaxed SIMD stays off: it differs between machines. */
const TARGET_FEATURES = "+simd128,+bulk-memory,+sign-ext,+nontrapping-fptoint,+mutable-globals";
/** The same set for wasm-opt, and what wasm-bindgen adds. */
const OPT_FLAGS = [
  "-O3",
  "--converge",
  "--low-memory-unused",
  "--one-caller-inline-max-function-size=0",
  "--enable-simd",
  "--enable-bulk-memory",
  "--enable-sign-ext",
  "--enable-nontrapping-float-to-int",
  "--enable-mutable-globals",
  "--enable-reference-types",
  "--enable-multivalue",
  "--strip-producers",
];
const ENTRIES = readdirSync(join(HERE, "ts/entries")).map((file) => file.replace(/\.ts$/, ""));
/** The module with tract, as `make onnx` writes it: the package holds the very file that hosts load. */
const ONNX = join(HERE, "../target/release/tollgate-onnx.wasm");
const EXTRAS = readdirSync(join(HERE, "ts/extras")).map((file) => file.replace(/\.ts$/, ""));

function main() {
  for (const folder of [PKG, DIST]) rmSync(folder, { recursive: true, force: true });
  mkdirSync(DIST, { recursive: true });
  copyFileSync(ONNX, join(DIST, "tollgate-onnx.wasm"));
  module();
  glue();
  return bundle().then(types);
}

/** The module, by wasm-pack; optimised here, where each feature is named. */
function module() {
  // No path of the machine that built it travels in the module.
  const cargo = process.env.CARGO_HOME ?? join(homedir(), ".cargo");
  const paths = [[join(HERE, ".."), ""], [join(cargo, "registry/src"), ""]].map(([from, to]) => `--remap-path-prefix=${from}=${to}`);
  const flags = [`-Ctarget-feature=${TARGET_FEATURES}`, ...paths].join("\x1f");
  const env = { ...process.env, CARGO_ENCODED_RUSTFLAGS: flags };
  delete env.RUSTFLAGS;
  const options = ["--mode", "no-install", "--no-opt", "--no-pack", "--no-typescript", "--target", "no-modules"];
  run("wasm-pack", ["build", HERE, ...options, "--profile", "module", "--out-dir", PKG, "--out-name", "tollgate"], env);
  const wasm = join(DIST, "tollgate.wasm");
  run(process.env.TOLLGATE_WASM_OPT ?? "wasm-opt", [...OPT_FLAGS, join(PKG, "tollgate_bg.wasm"), "-o", wasm]);
  const base64 = readFileSync(wasm).toString("base64");
  writeFileSync(join(PKG, "inline.js"), `export const WASM_BASE64 = "${base64}";\n`);
  writeFileSync(join(PKG, "inline.d.ts"), "export declare const WASM_BASE64: string;\n");
}

/**
 * wasm-bindgen's glue keeps one instance in its module's variables. A function around it makes
 * a glue an instance, so that a trap or a new bundle starts afresh. Modules are compiled before
 * they come here, so what fetches and compiles is left out of it.
 */
function glue() {
  let text = readFileSync(join(PKG, "tollgate.js"), "utf8");
  text = without(text, "    let script_src;", "    /**");
  text = without(text, "    async function __wbg_load(", "    function initSync(");
  text = without(text, "    let __wbg_init_promise;", "    return Object.assign(");
  text = text.replace("return Object.assign(__wbg_init, { initSync }, exports)", "return Object.assign(exports, { initSync })");
  if (/__wbg_init|__wbg_load|script_src/.test(text)) throw new Error("wasm-bindgen's glue is not of the form that is known");
  writeFileSync(join(PKG, "glue.js"), `export function createGlue() {\n${text}\nreturn wasm_bindgen;\n}\n`);
  writeFileSync(
    join(PKG, "glue.d.ts"),
    'import type { Glue } from "../ts/lean.js";\nexport declare function createGlue(): Glue;\n',
  );
}

/** A text without what stands from one line's beginning to another's. */
function without(text, from, to) {
  const start = text.indexOf(`\n${from}`);
  const end = text.indexOf(`\n${to}`, start);
  if (start < 0 || end < 0) throw new Error(`wasm-bindgen's glue has no ${from.trim()}`);
  return text.slice(0, start) + text.slice(end);
}

async function bundle() {
  const common = { bundle: true, minify: true, target: "es2022", legalComments: "none", logLevel: "warning" };
  const sources = (folder, names) => Object.fromEntries(names.map((name) => [name, join(HERE, "ts", folder, `${name}.ts`)]));
  await build({
    ...common,
    entryPoints: { ...sources("entries", ENTRIES), ...sources("extras", EXTRAS) },
    outdir: DIST,
    format: "esm",
    splitting: true,
    chunkNames: "chunk-[hash]",
    external: ["*.wasm", "*.wasm?module", "react", "node:*"],
  });
  await build({
    ...common,
    entryPoints: sources("entries", ["inline"]),
    outdir: DIST,
    format: "cjs",
    platform: "node",
    outExtension: { ".js": ".cjs" },
  });
}

/** Types of each entry; all conditions of the package's root share one. */
function types() {
  const compiler = join(HERE, "node_modules/typescript/bin/tsc");
  run(process.execPath, [compiler, "--project", HERE]);
  const put = (name, text) => writeFileSync(join(DIST, name), text);
  put("index.d.ts", 'export * from "./types/ts/index.js";\n');
  put("index.d.cts", 'export * from "./types/ts/index.js" with { "resolution-mode": "import" };\n');
  for (const entry of ["slim", "onnx"]) put(`${entry}.d.ts`, 'export * from "./types/ts/index.js";\n');
  for (const extra of EXTRAS) put(`${extra}.d.ts`, `export * from "./types/ts/extras/${extra}.js";\n`);
  for (const file of ["LICENSE-APACHE", "LICENSE-MIT"]) copyFileSync(join(HERE, "..", file), join(HERE, file));
}

function run(command, parameters, env = process.env) {
  execFileSync(command, parameters, { cwd: HERE, env, stdio: ["ignore", "inherit", "inherit"] });
}

await main();
