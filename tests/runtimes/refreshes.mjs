// The refresher against a real server: by ETag, whole or not at all, with the last good kept.
import assert from "node:assert/strict";
import * as fs from "node:fs/promises";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { ROOT } from "./places.mjs";

const VECTORS = join(ROOT, "tests/vectors");

export async function refreshes(project) {
  const from = createRequire(join(project, "package.json"));
  const load = (name) => import(pathToFileURL(from.resolve(name)).href);
  const { createScorer } = await load("tollgate");
  const { cacheStore, createRefresher, firstBundle, kvStore, memoryStore } = await load("tollgate/refresh");
  const { fileStore } = await load("tollgate/refresh/file");
  const read = (model) => fs.readFile(join(VECTORS, model, "bundle.tollgate"));
  const [signup, loan] = [await read("signup"), await read("loan")];
  const trust = new Uint8Array(await fs.readFile(join(VECTORS, "signup/trust.key")));
  const served = { body: signup, etag: '"1"', status: 200, asked: [] };
  const server = await start(served);
  const url = `http://127.0.0.1:${server.address().port}/bundle`;
  try {
    for (const store of [memoryStore(), fileStore(fs, join(project, "kept.tollgate")), kvStore(namespace(), "k"), cacheStore(cache(), "http://k/")]) {
      Object.assign(served, { body: signup, etag: '"1"', status: 200 });
      const scorer = await createScorer({ bundle: await firstBundle({ url, store }), trust });
      const seen = [];
      const refresher = createRefresher(scorer, { url, store, onOutcome: ({ kind }) => seen.push(kind) });
      assert.equal((await refresher.check()).kind, "replaced");
      assert.equal((await refresher.check()).kind, "unchanged");
      Object.assign(served, { body: loan, etag: '"2"' });
      assert.equal((await refresher.check()).about.name, "loan");
      // A bundle that was tampered with is refused, and so is an answer that is none.
      const tampered = Buffer.from(signup);
      tampered[tampered.length >> 1] ^= 1;
      Object.assign(served, { body: tampered, etag: '"3"' });
      assert.equal((await refresher.check()).error.code, "DIGEST");
      Object.assign(served, { status: 500 });
      assert.equal((await refresher.check()).error.code, "FETCH");
      assert.equal(scorer.describe().name, "loan");
      assert.deepEqual(seen, ["replaced", "unchanged", "replaced", "refused", "refused"]);
      // While the server is down, the last good one is what a new scorer starts with.
      const kept = await createScorer({ bundle: await firstBundle({ url, store }), trust });
      assert.equal(kept.describe().name, "loan");
    }
    await polls(createScorer, createRefresher, served, { url, trust, signup });
    return "by ETag into memory, file, KV and Cache; what is bad is refused, the last good one starts";
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

/** Looks by itself until it is stopped. */
async function polls(createScorer, createRefresher, served, { url, trust, signup }) {
  Object.assign(served, { body: signup, etag: '"9"', status: 200 });
  const scorer = await createScorer({ bundle: signup, trust });
  let refresher;
  await new Promise((done, fail) => {
    const timer = setTimeout(() => fail(new Error("the refresher did not look")), 60_000);
    const onOutcome = () => {
      clearTimeout(timer);
      done();
    };
    refresher = createRefresher(scorer, { url, interval_ms: 10, onOutcome });
    refresher.start();
  });
  refresher.stop();
}

function start(served) {
  const server = createServer((request, response) => {
    if (served.status !== 200) return void response.writeHead(served.status).end();
    if (request.headers["if-none-match"] === served.etag) return void response.writeHead(304).end();
    response.writeHead(200, { etag: served.etag }).end(served.body);
  });
  return new Promise((ready) => server.listen(0, "127.0.0.1", () => ready(server)));
}

/** A KV namespace's and a cache's calls, in memory. */
function namespace() {
  const kept = new Map();
  return {
    getWithMetadata: async (key) => kept.get(key) ?? { value: null, metadata: null },
    put: async (key, value, { metadata }) => void kept.set(key, { value, metadata }),
  };
}

function cache() {
  const kept = new Map();
  return {
    match: async (key) => kept.get(key)?.clone(),
    put: async (key, response) => void kept.set(key, response),
  };
}
