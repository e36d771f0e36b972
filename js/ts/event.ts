import { TollgateError } from "./errors.js";
import type { EventCells } from "./guest.js";
import type { Row } from "./marshal.js";
import type { ScoreOptions } from "./types.js";

/** Bytes of a caller's id, as in the core's limits. */
const TEXT_BYTES = 1024;
const OPTIONS: ReadonlySet<string> = new Set(["id", "correlationId", "now", "context", "states", "counter"]);

/** What a record repeats of the call. */
export interface Event {
  /** Undefined: one is drawn when it is read. */
  id: string | null | undefined;
  readonly correlationId: string | null;
  readonly time: number | null;
  readonly counter: number;
}

/** Checks options once, at the call: wrong ones are misuse, whatever is asked for later. */
export function eventOf(options: ScoreOptions<never> | undefined, count: number): Event {
  if (options === undefined) return { id: undefined, correlationId: null, time: null, counter: count };
  for (const name in options) {
    if (!OPTIONS.has(name)) throw new TollgateError("REQUEST", `score: unknown option ${name}`);
  }
  const { id, correlationId = null, now = null, counter = count } = options;
  text("id", id);
  text("correlationId", correlationId);
  if (!Number.isSafeInteger(counter) || counter < 0) {
    throw new TollgateError("REQUEST", "score: counter is not a whole number");
  }
  return { id, correlationId, time: now === null ? null : milliseconds(now), counter };
}

/**
 * 128 random bits as hexadecimal digits, for the ids of decisions that came without one. The
 * core itself never draws randomness.
 *
 * @throws TollgateError `RANDOM` where the runtime has none, as at the global scope of a worker.
 */
export function randomId(): string {
  try {
    const bytes = crypto.getRandomValues(new Uint8Array(16));
    return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  } catch (cause) {
    throw new TollgateError("RANDOM", "no randomness here", { cause });
  }
}

/** The event as the module takes it. */
export function cellsOf(event: Event, row: Row): EventCells {
  return [
    event.id ?? undefined,
    event.correlationId ?? undefined,
    event.time ?? undefined,
    event.counter,
    [...row.unknown],
    row.tags !== undefined,
  ];
}

function text(name: string, value: string | null | undefined): void {
  if (value === undefined || value === null) return;
  if (typeof value !== "string") throw new TollgateError("REQUEST", `score: ${name} is no text`);
  // A UTF-16 unit is at most three bytes, so short texts need no counting.
  if (value.length * 3 > TEXT_BYTES && new TextEncoder().encode(value).length > TEXT_BYTES) {
    throw new TollgateError("REQUEST", `score: ${name} is longer than ${TEXT_BYTES} bytes`);
  }
}

function milliseconds(now: number | Date): number {
  const time = Math.trunc(Number(now));
  if (!Number.isSafeInteger(time)) throw new TollgateError("REQUEST", "score: now is no time in milliseconds");
  return time;
}
