// Real builds of the packed package by Vite, webpack, esbuild, Rollup and Next; what they made
// then runs in Chromium and has to give the recorded decision.
import { cpSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { launch } from "./chromium.mjs";
import { next } from "./next.mjs";
import { HERE, ROOT, TARGET, tool } from "./places.mjs";
import { install } from "./project.mjs";
import { file, serve } from "./server.mjs";

const DEADLINE_MS = 300_000;
const VECTORS = join(ROOT, "tests/vectors");
const WASM = "node_modules/tollgate/dist/tollgate.wasm";

const BUILDS = {
  vite: async (folder, out) => {
    const { build } = await tool("vite");
    await build({ root: folder, base: "./", logLevel: "error", build: { outDir: out, target: "es2022" } });
  },
  webpack: async (folder, out) => {
    const webpack = (await tool("webpack")).default;
    const config = {
      mode: "production",
      context: folder,
      entry: "./main.js",
      output: { path: out, filename: "main.js", module: true },
      experiments: { outputModule: true },
    };
    const stats = await new Promise((done, fail) => webpack(config, (error, stats) => (error ? fail(error) : done(stats))));
    if (stats.hasErrors()) throw new Error(stats.toString("errors-only"));
    page(out, "webpack", "main.js");
  },
  // esbuild and Rollup leave the module's URL as it is: it is copied beside the output.
  esbuild: async (folder, out) => {
    await esbuild(folder, out, "main.js", {});
    cpSync(join(folder, WASM), join(out, "tollgate.wasm"));
    page(out, "esbuild", "main.js");
  },
  "esbuild-slim": async (folder, out) => {
    await esbuild(folder, out, "slim.js", { loader: { ".wasm": "file" } });
    page(out, "esbuild-slim", "slim.js");
  },
  rollup: async (folder, out) => {
    const { rollup } = await tool("rollup");
    const { nodeResolve } = await tool("@rollup/plugin-node-resolve");
    const bundle = await rollup({ input: join(folder, "main.js"), plugins: [nodeResolve({ browser: true })] });
    await bundle.write({ dir: out, format: "es" });
    cpSync(join(folder, WASM), join(out, "tollgate.wasm"));
    page(out, "rollup", "main.js");
  },
};

async function esbuild(folder, out, entry, more) {
  const { build } = await tool("esbuild");
  await build({
    entryPoints: [join(folder, entry)],
    outdir: out,
    bundle: true,
    minify: true,
    format: "esm",
    target: "es2022",
    logLevel: "error",
    ...more,
  });
}

function page(out, name, script) {
  const html = `<!doctype html><meta charset="utf-8"><title>${name}</title><script type="module" src="${script}"></script>`;
  writeFileSync(join(out, "index.html"), html);
}

async function main() {
  const expected = expectation();
  const browser = await launch();
  if (typeof browser === "string") throw new Error(browser);
  const failures = [];
  const check = async (name, run) => {
    try {
      console.log(`${name}: ${await run()}`);
    } catch (error) {
      failures.push(name);
      console.log(`${name}: FAILED: ${error?.stack ?? error}`);
    }
  };
  for (const name of Object.keys(BUILDS)) await check(name, () => built(name, browser, expected));
  await check("next", () => next(browser, expected));
  await browser.close();
  console.log(`bundlers: ${Object.keys(BUILDS).length + 1 - failures.length} passed, ${failures.length} failed`);
  return failures.length === 0 ? 0 : 1;
}

/** The first recorded request, and its record. */
function expectation() {
  const first = (name) => readFileSync(join(VECTORS, "signup", name), "utf8").split("\n")[0];
  return { request: JSON.parse(first("requests.ndjson")), record: first("records.ndjson") };
}

async function built(name, browser, expected) {
  const folder = join(TARGET, `app-${name}`);
  await install(folder, []);
  cpSync(join(HERE, "apps/browser"), folder, { recursive: true });
  const out = join(folder, "out");
  mkdirSync(out, { recursive: true });
  await BUILDS[name](folder, out);
  const files = readdirSync(out, { recursive: true }).filter((path) => /\.(js|wasm)$/.test(path));
  const modules = files.filter((path) => path.endsWith(".wasm"));
  if (modules.length !== 1) throw new Error(`the module was emitted ${modules.length} times: ${files.join(", ")}`);
  const text = files.filter((path) => path.endsWith(".js")).map((path) => readFileSync(join(out, path), "utf8")).join("\n");
  if (text.includes("AGFzbQ")) throw new Error("the inlined module leaked into a browser's bundle");
  if (/\bfrom\s*["']\.\/tollgate\.wasm/.test(text)) throw new Error("the workerd entry leaked into a browser's bundle");
  const record = await ran(name, out, browser, expected);
  if (record !== expected.record) throw new Error(`want ${expected.record}\n got  ${record}`);
  return `built, the module once (${basename(modules[0])}), ${text.length} bytes of script, the recorded decision`;
}

async function ran(name, out, browser, expected) {
  const data = (path, _, response) =>
    path === "expected.json"
      ? response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(expected))
      : file(join(TARGET, "..", "..", "tests", path), response);
  const server = await serve({ app: out, data });
  const tab = await browser.newPage();
  let timer;
  try {
    const failed = new Promise((_, reject) => {
      tab.on("pageerror", reject);
      timer = setTimeout(() => reject(new Error("no answer")), DEADLINE_MS);
    });
    const report = server.report(name);
    await tab.goto(`${server.base}/app/index.html`);
    return (await Promise.race([report, failed])).record;
  } finally {
    clearTimeout(timer);
    await tab.close();
    server.close();
  }
}

// Bundlers may leave workers behind that would keep this process.
process.exit(await main());
