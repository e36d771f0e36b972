// Serves vectors, suites, pages and the installed package to every runtime, and takes results.
import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { createServer } from "node:http";
import { extname, join, normalize } from "node:path";

const TYPES = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript",
  ".mjs": "text/javascript",
  ".css": "text/css",
  ".svg": "image/svg+xml",
  ".json": "application/json",
  ".wasm": "application/wasm",
};

/** Starts a server; `mounts` are folders by the first part of a path, or functions of the rest. */
export async function serve(mounts) {
  const waiting = new Map();
  const server = createServer((request, response) => {
    answer(mounts, waiting, request, response).catch((error) => response.writeHead(500).end(String(error)));
  });
  // A suite may compute for seconds between two requests. A server that closes its side just
  // then leaves the client with a connection that fails at the next one.
  server.keepAliveTimeout = 0;
  await new Promise((ready) => server.listen(0, "127.0.0.1", ready));
  return {
    base: `http://127.0.0.1:${server.address().port}`,
    /** What is posted to /report/ID. */
    report: (id) => new Promise((resolve) => waiting.set(id, resolve)),
    close: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}

async function answer(mounts, waiting, request, response) {
  const url = new URL(request.url, "http://server");
  const [, first, ...rest] = decodeURIComponent(url.pathname).split("/");
  if (first === "report") return take(waiting, rest.join("/"), request, response);
  const mount = mounts[first];
  if (mount === undefined) return void response.writeHead(404).end();
  if (typeof mount === "function") return mount(rest.join("/"), request, response);
  await file(join(mount, normalize(`/${rest.join("/")}`)), response);
}

/** Sends a file, by the type that its name says. */
export async function file(path, response, headers = {}) {
  const found = await stat(path).catch(() => undefined);
  if (!found?.isFile()) return void response.writeHead(404).end();
  const type = TYPES[extname(path)] ?? "application/octet-stream";
  response.writeHead(200, { "content-type": type, "content-length": found.size, ...headers });
  createReadStream(path).pipe(response);
}

async function take(waiting, id, request, response) {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  response.writeHead(204).end();
  waiting.get(id)?.(JSON.parse(Buffer.concat(chunks).toString()));
}
