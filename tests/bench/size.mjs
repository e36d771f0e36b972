// Prints a file's size as it is and as transports carry it; with a second argument, exits
// with 1 when its brotli size is above that many bytes. With --json first, all files' sizes.
import { readFileSync } from "node:fs";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";

function sizesOf(path) {
  const content = readFileSync(path);
  const params = { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_SIZE_HINT]: content.length };
  return { raw: content.length, gzip: gzipSync(content, { level: 9 }).length, brotli: brotliCompressSync(content, { params }).length };
}

const [path, limit, ...more] = process.argv.slice(2);
if (path === "--json") {
  console.log(JSON.stringify([limit, ...more].map(sizesOf)));
} else {
  const sizes = sizesOf(path);
  console.log(`${path}: ${Object.entries(sizes).map(([how, bytes]) => `${how} ${bytes}`).join(", ")} bytes`);
  if (limit && sizes.brotli > Number(limit)) {
    console.error(`brotli size is above the budget of ${limit} bytes`);
    process.exit(1);
  }
}
