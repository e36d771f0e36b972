// The examples and adapters as a user runs them, from the packed package: a Worker in workerd,
// the checkout in Chromium, Express and Hono, the refresher against a server, types in tsc.
import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { cpSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { launch } from "./chromium.mjs";
import { ROOT, TARGET, program, tool } from "./places.mjs";
import { install } from "./project.mjs";
import { refreshes } from "./refreshes.mjs";

const DEADLINE_MS = 180_000;
const EXAMPLES = join(ROOT, "js/examples");
const PROJECT = join(TARGET, "examples");
const SIGNUP = join(ROOT, "tests/vectors/signup");
const run = promisify(execFile);

async function main(pictures) {
  await install(PROJECT, ["express", "hono", "typescript", "esbuild"]);
  cpSync(EXAMPLES, PROJECT, { recursive: true });
  const key = pem(readFileSync(join(SIGNUP, "trust.key")));
  for (const folder of ["worker", "checkout", "node"]) {
    cpSync(join(SIGNUP, "bundle.tollgate"), join(PROJECT, folder, "signup.tollgate"));
    writeFileSync(join(PROJECT, folder, folder === "worker" ? "signup.pub.txt" : "signup.pub"), key);
  }
  const checks = { worker, express, hono, refreshes: () => refreshes(PROJECT), types, checkout: () => checkout(pictures) };
  let failed = 0;
  for (const [name, check] of Object.entries(checks)) {
    try {
      console.log(`${name}: ${await check()}`);
    } catch (error) {
      failed++;
      console.log(`${name}: FAILED: ${error?.stack ?? error}`);
    }
  }
  console.log(`examples: ${Object.keys(checks).length - failed} passed, ${failed} failed`);
  return failed === 0 ? 0 : 1;
}

/** Three signups of the example's rows, by what is decided about them. */
function signups() {
  const rows = readFileSync(join(ROOT, "models/signup/rows.ndjson"), "utf8").trim().split("\n").map((line) => JSON.parse(line));
  const of = (id) => rows.find((row) => row.decision_id === id).features;
  return { allow: of("s-019"), challenge: of("s-018"), block: of("s-017") };
}

async function worker() {
  const { build } = await tool("esbuild");
  const { Miniflare } = await tool("miniflare");
  const folder = join(PROJECT, "worker");
  const outfile = join(folder, "out.mjs");
  // As wrangler.toml has it: bytes for the bundle, text for the key.
  const loader = { ".tollgate": "binary", ".txt": "text" };
  await build({ entryPoints: [join(folder, "worker.mjs")], bundle: true, format: "esm", conditions: ["workerd"], external: ["*.wasm"], loader, outfile, logLevel: "error" });
  const wasm = readFileSync(join(PROJECT, "node_modules/tollgate/dist/tollgate.wasm"));
  const miniflare = new Miniflare({
    compatibilityDate: "2026-06-01",
    handleRuntimeStdio: (stdout) => stdout.resume(),
    modules: [
      { type: "ESModule", path: "out.mjs", contents: readFileSync(outfile, "utf8") },
      { type: "CompiledWasm", path: "tollgate.wasm", contents: wasm },
    ],
  });
  try {
    const post = (body) => miniflare.dispatchFetch("http://worker/signup", { method: "POST", body });
    const { allow, challenge, block } = signups();
    const allowed = await post(JSON.stringify({ features: allow }));
    assert.equal(allowed.status, 200);
    assert.equal((await allowed.json()).action, "allow");
    const challenged = await post(JSON.stringify({ features: challenge }));
    assert.equal(challenged.status, 401);
    assert.match(await challenged.text(), /<title>One more step[^]*name="decision" value="[0-9a-f]{32}"/);
    const blocked = await post(JSON.stringify({ features: block }));
    assert.equal(blocked.status, 403);
    assert.ok((await blocked.json()).reasons.length > 0);
    // What is no signup at all is challenged, not a failure.
    for (const body of ["", "{", "[]", "7", '{"features":[1]}']) assert.equal((await post(body)).status, 401);
    assert.equal((await miniflare.dispatchFetch("http://worker/")).status, 404);
    return "allow, challenge page and refusal with reasons, in workerd";
  } finally {
    await miniflare.dispose();
  }
}

async function express() {
  const folder = join(PROJECT, "node");
  const { base, stop } = await serving(["server.mjs"], folder, { PORT: "0" });
  try {
    const post = async (body) => {
      const headers = { "content-type": "application/json" };
      const response = await fetch(base, { method: "POST", headers, body });
      return [response.status, await response.json()];
    };
    const { allow, challenge, block } = signups();
    assert.deepEqual(await post(JSON.stringify({ features: allow })), [200, { welcome: true }]);
    assert.equal((await post(JSON.stringify({ features: challenge })))[0], 401);
    const [status, refused] = await post(JSON.stringify({ features: block }));
    assert.equal(status, 403);
    assert.ok(refused.action === "block" && refused.reasons.length > 0);
    assert.equal((await post("{}"))[0], 401);
    return "Express lets pass, challenges and refuses";
  } finally {
    stop();
  }
}

async function hono() {
  const script = join(PROJECT, "hono.mjs");
  writeFileSync(
    script,
    `import { Hono } from "hono";
import { readFileSync } from "node:fs";
import { createScorer } from "tollgate";
import { tollgate } from "tollgate/hono";
const [bundle, trust] = [readFileSync("node/signup.tollgate"), readFileSync("node/signup.pub", "utf8")];
const scorer = await createScorer({ bundle, trust });
const app = new Hono();
app.use("/signup", tollgate({ scorer, features: async (c) => (await c.req.json()).features }));
app.post("/signup", (c) => c.json({ action: c.get("tollgate").action }));
for (const features of JSON.parse(process.argv[2])) {
  const response = await app.request("/signup", { method: "POST", body: JSON.stringify({ features }) });
  console.log(response.status, (await response.json()).action);
}
`,
  );
  const { allow, challenge, block } = signups();
  const { stdout } = await run(process.execPath, [script, JSON.stringify([allow, challenge, block])], { cwd: PROJECT, timeout: DEADLINE_MS });
  assert.equal(stdout.trim(), "200 allow\n401 challenge\n403 block");
  return "Hono lets pass, challenges and refuses";
}

/** `tollgate types`, and a program that tsc must accept but for its wrong lines. */
async function types() {
  const folder = join(PROJECT, "types");
  mkdirSync(folder, { recursive: true });
  const features = ["types", join(SIGNUP, "bundle.tollgate"), "--trust", join(PROJECT, "node/signup.pub"), "-o", "features.d.ts"];
  await run(join(ROOT, "target/release/tollgate"), features, { cwd: folder, timeout: DEADLINE_MS });
  const program_ = (wrong) => `import { createScorer, type Decision } from "tollgate";
import { createScorer as createOnnxScorer } from "tollgate/onnx";
import type { Features, ReasonCode } from "./features.js";
declare const bundle: Uint8Array;
const scorer = await createScorer<Features, ReasonCode>({ bundle, trust: "" });
const decision: Decision<ReasonCode> = scorer.score({ ip_signups_1h: 7, is_tor: false, phone_type: "mobile", asn_risk: null });
const code: ReasonCode | undefined = decision.toJSON().reasons[0]?.code;
scorer.score({}, { context: { country_group: "oceania" }, states: { asn_risk: "timed_out" } });
const either: typeof createScorer = createOnnxScorer;
${wrong}
export { code, either };
`;
  const compile = async (wrong) => {
    writeFileSync(join(folder, "program.ts"), program_(wrong));
    const options = ["--noEmit", "--strict", "--target", "es2022", "--module", "nodenext", "--types", "", "--lib", "es2023,esnext.disposable,dom", "program.ts"];
    const compiler = program("typescript/bin/tsc");
    return run(process.execPath, [compiler, ...options], { cwd: folder, timeout: DEADLINE_MS }).then(() => "", ({ stdout }) => stdout);
  };
  assert.equal(await compile(""), "");
  const wrong = {
    "scorer.score({ ip_signups_1hour: 7 });": /ip_signups_1hour/,
    'scorer.score({ ip_signups_1h: "7" });': /not assignable to type 'number/,
    'scorer.score({ phone_type: "mobil" });': /phone_type|"mobil"/,
    'scorer.score({}, { states: { asn_risk: "tired" } });': /tired/,
    'const other: ReasonCode = "EMIAL"; void other;': /EMIAL/,
  };
  for (const [line, message] of Object.entries(wrong)) assert.match(await compile(line), message, line);
  return `a misspelt feature, wrong values, states and reason codes fail in tsc (${Object.keys(wrong).length} ways)`;
}

/** Types into the form as a shopper does, on a desktop and on a phone. */
async function checkout(pictures) {
  const browser = await launch();
  if (typeof browser === "string") throw new Error(browser);
  const { base, stop } = await serving(["serve.mjs", "signup.tollgate", "signup.pub", "0"], join(PROJECT, "checkout"), {});
  try {
    for (const [name, width, height] of [["desktop", 1280, 900], ["phone", 390, 844]]) {
      const context = await browser.newContext({ viewport: { width, height }, deviceScaleFactor: name === "phone" ? 2 : 1 });
      const page = await context.newPage();
      await page.emulateMedia({ reducedMotion: "reduce" });
      // Decisions must not depend on the hour, nor on how fast this machine types.
      if (!pictures) await page.addInitScript(stopClocks);
      const broken = [];
      page.on("pageerror", (error) => broken.push(String(error)));
      page.on("console", (message) => message.type() === "error" && broken.push(message.text()));
      await page.goto(base);
      const action = page.locator("#risk");
      const becomes = (want) => page.waitForFunction((want) => document.querySelector("#risk").dataset.action === want, want, { timeout: DEADLINE_MS });
      await action.and(page.locator("[data-action=challenge], [data-action=allow], [data-action=block]")).waitFor({ timeout: DEADLINE_MS });
      await page.fill("#name", "Anna Keller");
      await page.fill("#email", "anna.keller@mail.example");
      await becomes("allow");
      await page.check("input[value=farm]", { force: true });
      await page.fill("#email", "x48213377@mailinator.com");
      await becomes("block");
      assert.ok((await page.locator("#reasons li").count()) >= 2);
      await page.click("#pay");
      assert.match(await page.textContent("#said"), /cannot take this order/);
      await page.check("input[value=none]", { force: true });
      await becomes("challenge");
      await page.check("input[value=proxy]", { force: true });
      await page.fill("#email", "keller4821@mail.example");
      await page.fill("#name", "Jo Brandt");
      await page.selectOption("#phone", "voip");
      await becomes("challenge");
      const overflow = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
      assert.equal(overflow, 0, `${name}: nothing is wider than the screen`);
      assert.deepEqual(broken, [], `${name}: no errors, the policy's among them`);
      if (pictures) await page.screenshot({ path: join(pictures, `${name}.png`), fullPage: name === "phone" });
      await context.close();
    }
    return "allow, challenge and block as the shopper types, on a desktop and on a phone, under a strict policy";
  } finally {
    stop();
    await browser.close();
  }
}

/** In the page: Tuesday, eleven o'clock, half a minute after the form was begun. */
function stopClocks() {
  let calls = 0;
  performance.now = () => (calls++ === 0 ? 0 : 30_000 + calls / 1000);
  Date.prototype.getHours = () => 11;
  Date.prototype.getDay = () => 2;
}

/** Starts a server that prints its address. */
function serving(parameters, cwd, env) {
  const child = spawn(process.execPath, parameters, { cwd, env: { ...process.env, ...env }, stdio: ["ignore", "pipe", "inherit"] });
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error("the server did not start")), DEADLINE_MS);
    let text = "";
    child.on("exit", (code) => reject(new Error(`the server ended with ${code}`)));
    child.stdout.on("data", (chunk) => {
      text += chunk;
      if (!text.includes("\n")) return;
      clearTimeout(timer);
      resolve({ base: text.split("\n")[0], stop: () => child.kill("SIGKILL") });
    });
  });
}

/** A raw key as OpenSSL writes it. */
function pem(key) {
  const der = Buffer.concat([Buffer.from("302a300506032b6570032100", "hex"), key]);
  return `-----BEGIN PUBLIC KEY-----\n${der.toString("base64")}\n-----END PUBLIC KEY-----\n`;
}

process.exit(await main(process.argv[2]));
