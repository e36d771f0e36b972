import { compile, digestOf, keysOf, readBytes } from "./bytes.js";
import { ACTIONS, Fallback, decided, lay } from "./decision.js";
import { TollgateError } from "./errors.js";
import { type Event, cellsOf, eventOf, randomId } from "./event.js";
import type { Start } from "./guest.js";
import { ABSENT, Marshal, NONE, type Row, entriesOf } from "./marshal.js";
import { RESULT_BYTES, type Sealed, Session, Trap } from "./session.js";
import type {
  Action,
  Batch,
  BytesSource,
  CreateOptions,
  Decision,
  Description,
  Explanation,
  ReplaceOptions,
  ScoreOptions,
  Scorer,
  WasmSource,
} from "./types.js";

/** `createScorer` with the module that `load` brings, compiled once, and started by `start`. */
export function creatorWith(
  start: Start,
  load: () => WasmSource | Promise<WasmSource>,
): typeof import("./index.js").createScorer {
  let loading: Promise<WebAssembly.Module> | undefined;
  const own = (): Promise<WebAssembly.Module> => {
    loading ??= compileFrom(load).catch((cause: unknown) => {
      loading = undefined;
      throw cause;
    });
    return loading;
  };
  return async <F extends object, C extends string>(options: CreateOptions): Promise<Scorer<F, C>> => {
    const { bundle, trust, wasm, digest, now, signal } = options;
    signal?.throwIfAborted();
    const [module, bytes] = await Promise.all([
      wasm === undefined ? own() : Promise.resolve(wasm).then((source) => compile(source, signal)),
      Promise.resolve(bundle).then((source) => readBytes(source, signal)),
    ]);
    signal?.throwIfAborted();
    const sealed = seal(start, module, bytes, keysOf(trust), digest, now);
    return new SessionScorer(opened(sealed)) as unknown as Scorer<F, C>;
  };
}

async function compileFrom(load: () => WasmSource | Promise<WasmSource>): Promise<WebAssembly.Module> {
  return compile(await load());
}

/** A scorer over the session that serves. */
class SessionScorer implements Scorer {
  #session: Session | undefined;
  #marshal: Marshal;
  #count = 0;

  constructor(session: Session) {
    this.#session = session;
    this.#marshal = new Marshal(session.about);
  }

  score(features: Record<string, unknown>, options?: ScoreOptions): Decision {
    const session = this.#serving();
    const event = eventOf(options as ScoreOptions<never> | undefined, this.#count + 1);
    this.#count++;
    try {
      const row = this.#row(session, features, options);
      lay(session, row);
      session.decide(1, true);
      return decided(session, row, event);
    } catch (trap) {
      return fallback(session, event, trap);
    }
  }

  scoreRow(row: Float64Array | readonly number[], tags?: Uint8Array, options?: ScoreOptions): Decision {
    const session = this.#serving();
    const event = eventOf(options as ScoreOptions<never> | undefined, this.#count + 1);
    const cells = typed(session, row, tags);
    this.#count++;
    try {
      lay(session, cells);
      session.decide(1, tags !== undefined);
      return decided(session, cells, event);
    } catch (trap) {
      return fallback(session, event, trap);
    }
  }

  scoreBatch(rows: Float64Array, tags?: Uint8Array): Batch {
    const session = this.#serving();
    const { width } = session;
    if (rows.length % width !== 0 || (tags !== undefined && tags.length !== rows.length)) {
      throw new TollgateError("MISUSE", `batch: not full rows of ${width} values, or not one tag a value`);
    }
    const bytes = new Uint8Array((rows.length / width) * RESULT_BYTES);
    try {
      fill(session, rows, tags, bytes);
    } catch (trap) {
      if (!(trap instanceof Trap)) throw trap;
      bytes.set(batchFallback(session, rows.length / width));
    }
    this.#count += rows.length / width;
    return new Columns(bytes);
  }

  predict(row: Float64Array | readonly number[], response = false): Float64Array {
    const session = this.#serving();
    const scored = session.about.scored_features;
    if (row.length !== scored) throw new TollgateError("MISUSE", `predict: expected ${scored} values`);
    try {
      session.cells(1).values.set(row);
      const outputs = session.run((guest) => guest.predict(response));
      return session.cells(1).numbers.slice(0, outputs);
    } catch (trap) {
      throw lost(trap);
    }
  }

  explain(features: Record<string, unknown>, options?: ScoreOptions): Explanation {
    const session = this.#serving();
    const event = eventOf(options as ScoreOptions<never> | undefined, this.#count + 1);
    try {
      const row = this.#row(session, features, options);
      lay(session, row);
      event.id ??= event.id === undefined ? randomId() : null;
      const text = session.run((guest) => guest.record(...cellsOf(event, row), true));
      this.#count++;
      return JSON.parse(text) as Explanation;
    } catch (trap) {
      throw lost(trap);
    }
  }

  describe(): Description {
    return this.#serving().about;
  }

  async replace(bundle: BytesSource | Promise<BytesSource>, options: ReplaceOptions = {}): Promise<Description> {
    const { sealed } = this.#serving();
    const bytes = await readBytes(await bundle, options.signal);
    options.signal?.throwIfAborted();
    const keys = options.trust === undefined ? sealed.keys : keysOf(options.trust);
    // An instance of its own: whatever happens to the candidate, what serves goes on.
    const session = opened(seal(sealed.start, sealed.module, bytes, keys, options.digest, options.now));
    this.#serving();
    this.#session = session;
    this.#marshal = new Marshal(session.about);
    this.#count = 0;
    return session.about;
  }

  dispose(): void {
    this.#session = undefined;
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  #serving(): Session {
    if (this.#session === undefined) throw new TollgateError("DISPOSED", "the scorer was disposed of");
    return this.#session;
  }

  /** The row of an input, by the short road where it is a plain object and nothing else. */
  #row(session: Session, features: unknown, options: ScoreOptions | undefined): Row {
    const blank = (absent: boolean): Row => this.#marshal.blank(absent);
    try {
      const usual = options?.context === undefined && options?.states === undefined;
      if (typeof features !== "object" || features === null) {
        return usual ? blank(features === undefined || features === null) : this.#read(session, {}, options);
      }
      const row = usual ? this.#marshal.row(features) : undefined;
      return row ?? this.#read(session, features, options);
    } catch (cause) {
      // A getter or proxy of the caller's that throws is bad data; what we throw is not.
      if (cause instanceof TollgateError || cause instanceof Trap) throw cause;
      return blank(false);
    }
  }

  /** The row of an input of any shape: names and values, which the core puts in their places. */
  #read(session: Session, features: object, options: ScoreOptions | undefined): Row {
    const entries = entriesOf(features).concat(entriesOf(options?.context ?? {}));
    const [names, given] = [entries.map(([name]) => name), entries.map(([, value]) => value)];
    const states = entriesOf(options?.states ?? {}).flatMap(([name, state]) => [name, String(state)]);
    session.cells(1);
    const unknown = session.run((guest) => guest.read(names, given, states));
    const { values, tags } = session.cells(1);
    const { width } = session;
    return { values: Array.from(values.subarray(0, width)), tags: Array.from(tags.subarray(0, width)), unknown };
  }
}

/** A row of numbers; without tags NaN is missing and each value is of its feature's kind. */
function typed(session: Session, row: Float64Array | readonly number[], tags: Uint8Array | undefined): Row {
  const { width } = session;
  if (row.length > width || (tags !== undefined && tags.length !== row.length)) {
    throw new TollgateError("MISUSE", `row: more than ${width} values, or not one tag a value`);
  }
  const given = row.length;
  const values = new Array<number>(width);
  for (let at = 0; at < width; at++) values[at] = at < given ? (row[at] as number) : Number.NaN;
  if (tags === undefined) return { values, tags: undefined, unknown: NONE };
  const marks = new Array<number>(width).fill(ABSENT);
  for (let at = 0; at < given; at++) marks[at] = tags[at] as number;
  return { values, tags: marks, unknown: NONE };
}

function fill(session: Session, rows: Float64Array, tags: Uint8Array | undefined, out: Uint8Array): void {
  const { width } = session;
  const count = rows.length / width;
  const step = Math.min(count, session.batchRows);
  for (let start = 0; start < count; start += step) {
    const size = Math.min(step, count - start);
    const cells = session.cells(step);
    cells.values.set(rows.subarray(start * width, (start + size) * width));
    if (tags !== undefined) cells.tags.set(tags.subarray(start * width, (start + size) * width));
    session.decide(size, tags !== undefined);
    out.set(session.cells(step).bytes.subarray(0, size * RESULT_BYTES), start * RESULT_BYTES);
  }
}

/** Results of rows that a trap took: the fixed action, nothing scored. */
function batchFallback(session: Session, rows: number): Uint8Array {
  const bytes = new Uint8Array(rows * RESULT_BYTES);
  const view = new DataView(bytes.buffer);
  for (let start = 0; start < bytes.length; start += RESULT_BYTES) {
    view.setUint8(start, ACTIONS.indexOf(session.about.fallback_action));
    view.setUint8(start + 1, FALLBACK_SOURCE);
    view.setUint8(start + 2, 1);
    view.setUint32(start + 4, session.width, true);
    for (let at = 8; at < 48; at += 8) view.setFloat64(start + at, Number.NaN, true);
  }
  return bytes;
}

/** The source of a row that the shell answered for. */
const FALLBACK_SOURCE = 255;

class Columns implements Batch {
  readonly length: number;
  readonly actions: Uint8Array;
  readonly probabilities: Float64Array;
  readonly margins: Float64Array;
  readonly standIns: Uint32Array;

  constructor(readonly bytes: Uint8Array) {
    this.length = bytes.length / RESULT_BYTES;
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const at = Array.from({ length: this.length }, (_, row) => row * RESULT_BYTES);
    this.actions = Uint8Array.from(at, (start) => view.getUint8(start));
    this.standIns = Uint32Array.from(at, (start) => view.getUint32(start + 4, true));
    this.margins = Float64Array.from(at, (start) => view.getFloat64(start + 8, true));
    this.probabilities = Float64Array.from(at, (start) => view.getFloat64(start + 16, true));
  }

  action(row: number): Action {
    const action = ACTIONS[this.actions[row] as number];
    if (action === undefined) throw new TollgateError("MISUSE", `batch: there is no row ${row}`);
    return action;
  }
}

function seal(
  start: Start,
  module: WebAssembly.Module,
  bundle: Uint8Array,
  keys: Uint8Array,
  digest: string | undefined,
  now: number | undefined,
): Sealed {
  const clock = now ?? Date.now();
  return {
    start,
    module,
    // A copy: what was verified is what a fresh instance verifies again.
    bundle: bundle.slice(),
    keys,
    digest: digest === undefined ? undefined : digestOf(digest),
    // Some runtimes stop their clock at 0 before the first request.
    now: clock > 0 ? clock : undefined,
  };
}

function opened(sealed: Sealed): Session {
  try {
    return new Session(sealed);
  } catch (trap) {
    throw lost(trap);
  }
}

function fallback(session: Session, event: Event, trap: unknown): Decision {
  if (!(trap instanceof Trap)) throw trap;
  return new Fallback(session, event);
}

function lost(trap: unknown): unknown {
  if (!(trap instanceof Trap)) return trap;
  return new TollgateError("TRAP", "the module trapped; a fresh instance will serve", { cause: trap.cause });
}
