// Prints the module's size as it is and as transports carry it; with a second argument,
// exits with 1 when its brotli size is above that many bytes.
import { readFileSync } from "node:fs";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";

const [path, limit] = process.argv.slice(2);
const module = readFileSync(path);
const brotli = brotliCompressSync(module, { params: { [constants.BROTLI_PARAM_QUALITY]: 11 } });
const sizes = { raw: module.length, gzip: gzipSync(module, { level: 9 }).length, brotli: brotli.length };
console.log(`${path}: ${Object.entries(sizes).map(([how, bytes]) => `${how} ${bytes}`).join(", ")} bytes`);
if (limit && sizes.brotli > Number(limit)) {
  console.error(`brotli size is above the budget of ${limit} bytes`);
  process.exit(1);
}
