// The line protocol that every measured process speaks: a greeting, then one line of JSON for
// each command. The Rust side of it is `bench-row`.
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";

const say = (answer) => process.stdout.write(`${JSON.stringify(answer)}\n`);

// Rows as the row file holds them: little-endian f64, as every platform of Node has them.
export function readRows(path, width) {
  const bytes = readFileSync(path);
  const all = new Float64Array(bytes.buffer, bytes.byteOffset, bytes.length / 8);
  return Array.from({ length: all.length / width }, (_, i) => all.subarray(i * width, (i + 1) * width));
}

// One row behind the other, over and over, until there are `count`.
export function tiled(rows, count, Kind = Float64Array) {
  const width = rows[0].length;
  const all = new Kind(count * width);
  for (let i = 0; i < count; i++) all.set(rows[i % rows.length], i * width);
  return all;
}

export function percentiles(variant, times) {
  const sorted = Float64Array.from(times).sort();
  const at = (share) => Math.round(sorted[Math.floor((sorted.length * share) / 100)] * 1e6);
  return { variant, p50_ns: at(50), p10_ns: at(10), p90_ns: at(90), n: sorted.length };
}

export const perRow = (variant, ms, n) => ({ variant, per_row_ns: (ms * 1e6) / n, n });

// `variants` maps a name to what `run NAME N` does, `commands` any other first word.
export async function serve(greeting, variants, commands) {
  say({ ready: true, variants: Object.keys(variants), ...greeting });
  for await (const line of createInterface({ input: process.stdin })) {
    const [word, ...rest] = line.split(" ");
    const action = word === "run" ? variants[rest.shift()] : commands[word];
    if (!action) throw new Error(`unknown command: ${line}`);
    say(await action(Number(rest[0])));
  }
}
