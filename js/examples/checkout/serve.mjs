// Serves the checkout under a strict policy: `node serve.mjs BUNDLE KEY.pub [PORT]`.
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { extname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";

const HERE = fileURLToPath(new URL(".", import.meta.url));
const PACKAGE = fileURLToPath(new URL(".", import.meta.resolve("tollgate/tollgate.wasm")));
const TYPES = { ".html": "text/html; charset=utf-8", ".css": "text/css", ".svg": "image/svg+xml", ".wasm": "application/wasm" };
const POLICY = [
  "default-src 'none'",
  "script-src 'self' 'wasm-unsafe-eval'",
  "style-src 'self'",
  "img-src 'self'",
  "connect-src 'self'",
  "form-action 'self'",
  "base-uri 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
].join("; ");

const [bundle, key, port = "8080"] = process.argv.slice(2);
if (key === undefined) {
  console.error("usage: node serve.mjs BUNDLE KEY.pub [PORT]");
  process.exit(2);
}

/** The file that an address stands for. */
function fileOf(pathname) {
  if (pathname === "/signup.tollgate") return bundle;
  if (pathname === "/signup.pub") return key;
  if (pathname.startsWith("/tollgate/")) return join(PACKAGE, normalize(pathname.slice("/tollgate".length)));
  return join(HERE, normalize(pathname === "/" ? "/index.html" : pathname));
}

const server = createServer(async (request, response) => {
  try {
    const file = fileOf(new URL(request.url ?? "/", "http://server").pathname);
    const body = await readFile(file);
    const type = TYPES[extname(file)] ?? (/\.m?js$/.test(file) ? "text/javascript" : "application/octet-stream");
    response.writeHead(200, { "content-type": type, "content-security-policy": POLICY, "x-content-type-options": "nosniff" });
    response.end(body);
  } catch {
    response.writeHead(404).end();
  }
});
server.listen(Number(port), "127.0.0.1", () => console.log(`http://127.0.0.1:${server.address().port}/`));
