import { TollgateError, fromText } from "./errors.js";
import type { Guest, Start, Started } from "./guest.js";
import type { Description } from "./types.js";

/** Bytes of one result. */
export const RESULT_BYTES = 64;
/** Cells that a batch lays into memory at a time. */
const BATCH_CELLS = 1 << 14;
/** Memory of an instance that is worth keeping after it refused a bundle. */
const SPARE_BYTES = 16 << 20;

/** What makes a session again after a trap. */
export interface Sealed {
  readonly start: Start;
  readonly module: WebAssembly.Module;
  readonly bundle: Uint8Array;
  readonly keys: Uint8Array;
  readonly digest: Uint8Array | undefined;
  readonly now: number | undefined;
}

/** The instance trapped. There is a fresh one already, unless that failed too. */
export class Trap {
  constructor(readonly cause: unknown) {}
}

/** The memory that a session shares with its instance. */
export interface Cells {
  readonly values: Float64Array;
  readonly tags: Uint8Array;
  readonly bytes: Uint8Array;
  readonly halves: Uint32Array;
  readonly numbers: Float64Array;
}

/** Per module an instance that holds no bundle. */
const spares = new WeakMap<WebAssembly.Module, Started>();

function fresh({ start, module }: Sealed): Started {
  try {
    return start(module);
  } catch (cause) {
    throw cause instanceof TollgateError ? cause : new Trap(cause);
  }
}

/**
 * One bundle in an instance of its own. A trap ends the instance, so the session keeps what
 * it takes to make another.
 */
export class Session {
  readonly about: Description;
  readonly width: number;
  #guest: Guest | undefined;
  #memory: WebAssembly.Memory | undefined;
  #places: Uint32Array = new Uint32Array(3);
  #cells: Cells | undefined;
  #rows = 0;

  constructor(readonly sealed: Sealed) {
    this.about = JSON.parse(this.#start()) as Description;
    this.width = this.about.features.length;
  }

  /** Room for rows, as views that are valid until the next call. */
  cells(rows: number): Cells {
    // Before anything is written: what is laid into a lost instance is lost with it.
    if (this.#guest === undefined) this.#revive();
    if (rows > this.#rows) {
      this.#places = this.run((guest) => guest.reserve(rows));
      this.#rows = rows;
      this.#cells = undefined;
    }
    // Memory that grows detaches its views.
    if (this.#cells === undefined || this.#cells.values.length === 0) this.#cells = this.#view();
    return this.#cells;
  }

  /** Decides the first rows of the cells. */
  decide(rows: number, tagged: boolean): void {
    const decided = this.run((guest) => guest.decide(rows, tagged));
    if (decided !== rows) throw new Trap(`${decided} of ${rows} rows were decided`);
  }

  /** Rows that a batch decides at a time. */
  get batchRows(): number {
    return Math.max(1, Math.floor(BATCH_CELLS / this.width));
  }

  /** Calls the instance; an error of the core is thrown as such, anything else is a trap. */
  run<T>(call: (guest: Guest) => T): T {
    if (this.#guest === undefined) this.#revive();
    try {
      return call(this.#guest as Guest);
    } catch (cause) {
      if (typeof cause === "string") throw fromText(cause);
      this.#guest = undefined;
      throw new Trap(cause);
    }
  }

  #revive(): void {
    try {
      this.#start();
    } catch (cause) {
      this.#guest = undefined;
      throw new Trap(cause);
    }
  }

  #start(): string {
    const { module, bundle, keys, digest, now } = this.sealed;
    const started = spares.get(module) ?? fresh(this.sealed);
    spares.delete(module);
    try {
      const described = started.guest.load(bundle, keys, digest, now);
      this.#memory = started.memory;
      this.#guest = started.guest;
      this.#rows = 0;
      this.#cells = undefined;
      return described;
    } catch (cause) {
      if (typeof cause !== "string") throw new Trap(cause);
      // A refusal leaves an instance as it was, and instances are dear where many are refused.
      if (started.memory.buffer.byteLength <= SPARE_BYTES) spares.set(module, started);
      throw fromText(cause);
    }
  }

  #view(): Cells {
    const buffer = (this.#memory as WebAssembly.Memory).buffer;
    const [values = 0, tags = 0, results = 0] = this.#places;
    const cells = this.#rows * this.width;
    const words = this.#rows * (RESULT_BYTES / 8);
    return {
      values: new Float64Array(buffer, values, cells),
      tags: new Uint8Array(buffer, tags, cells),
      bytes: new Uint8Array(buffer, results, words * 8),
      halves: new Uint32Array(buffer, results, words * 2),
      numbers: new Float64Array(buffer, results, Math.max(words, this.about.outputs)),
    };
  }
}
