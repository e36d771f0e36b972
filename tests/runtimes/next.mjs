// Next: a page in Chromium, a route in Node and one in its edge runtime.
import { execFile, spawn } from "node:child_process";
import { cpSync, mkdirSync, readFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { promisify } from "node:util";
import { HERE, ROOT, TARGET, program } from "./places.mjs";
import { install } from "./project.mjs";

const DEADLINE_MS = 300_000;
const VECTORS = join(ROOT, "tests/vectors/signup");

export async function next(browser, expected) {
  const folder = join(TARGET, "app-next");
  await install(folder, ["next", "react", "react-dom"]);
  cpSync(join(HERE, "apps/next"), folder, { recursive: true });
  mkdirSync(join(folder, "public"), { recursive: true });
  cpSync(join(VECTORS, "bundle.tollgate"), join(folder, "public/signup.tollgate"));
  const env = {
    ...process.env,
    NODE_ENV: "production",
    NEXT_TELEMETRY_DISABLED: "1",
    NEXT_PUBLIC_TRUST: pem(readFileSync(join(VECTORS, "trust.key"))),
    NEXT_PUBLIC_FEATURES: JSON.stringify(expected.request.features),
    NEXT_PUBLIC_ID: expected.request.decision_id,
  };
  const cli = program("next/dist/bin/next");
  await promisify(execFile)(process.execPath, [cli, "build"], { cwd: folder, env, timeout: DEADLINE_MS });
  const port = await freePort();
  const server = spawn(process.execPath, [cli, "start", "--port", String(port), "--hostname", "127.0.0.1"], {
    cwd: folder,
    env,
    stdio: "ignore",
  });
  try {
    const base = `http://127.0.0.1:${port}`;
    const answers = { node: await text(`${base}/api/node`), edge: await text(`${base}/api/edge`), page: await inPage(browser, base) };
    for (const [where, record] of Object.entries(answers)) {
      if (record !== expected.record) throw new Error(`${where}: want ${expected.record}\n got  ${record}`);
    }
    return "built; page, Node route and edge route give the recorded decision";
  } finally {
    server.kill("SIGKILL");
  }
}

/** Asks until the server answers. */
async function text(url) {
  const end = Date.now() + DEADLINE_MS;
  for (;;) {
    const response = await fetch(url).catch(() => undefined);
    if (response !== undefined) return response.text();
    if (Date.now() > end) throw new Error(`${url}: no answer`);
    await new Promise((later) => setTimeout(later, 200));
  }
}

async function inPage(browser, base) {
  const tab = await browser.newPage();
  try {
    await tab.goto(base);
    const record = tab.locator("#record");
    await record.filter({ hasText: /./ }).waitFor({ timeout: DEADLINE_MS });
    return await record.textContent();
  } finally {
    await tab.close();
  }
}

function freePort() {
  return new Promise((resolve) => {
    const probe = createServer().listen(0, "127.0.0.1", () => {
      const { port } = probe.address();
      probe.close(() => resolve(port));
    });
  });
}

/** A raw key as OpenSSL writes it. */
function pem(key) {
  const der = Buffer.concat([Buffer.from("302a300506032b6570032100", "hex"), key]);
  return `-----BEGIN PUBLIC KEY-----\n${der.toString("base64")}\n-----END PUBLIC KEY-----\n`;
}
