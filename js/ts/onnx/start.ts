// The ONNX module as a guest. It was not made with wasm-bindgen: one file serves every
// language, so what the lean module's glue does is done here over the plain calls.
import { TollgateError } from "../errors.js";
import type { EventCells, Guest, Started } from "../guest.js";
import { ABSENT, BOOLEAN, CODE, NULL, NUMBER, OTHER } from "../marshal.js";
import { RESULT_BYTES } from "../session.js";
import type { DecisionRecord, Description } from "../types.js";
import { Calls, type Exports } from "./calls.js";
import { type FirstRow, inputOf, requestOf } from "./request.js";

/** Tags of the states in which a feature has no value. */
const TAGS: Readonly<Record<string, number>> = {
  missing: ABSENT,
  null: NULL,
  invalid: OTHER,
  stale: 6,
  timed_out: 7,
  quarantined: 8,
};

/** A call that the ONNX module alone has. */
const MARK = "tg_graph";

/**
 * Starts the ONNX module.
 *
 * @throws TollgateError `WASM` for any other module.
 */
export function startOnnx(module: WebAssembly.Module): Started {
  if (!WebAssembly.Module.exports(module).some(({ name }) => name === MARK)) {
    throw new TollgateError("WASM", "the module that `wasm` gives is not tollgate-onnx.wasm");
  }
  const exports = new WebAssembly.Instance(module, {}).exports as unknown as Exports;
  return { guest: new OnnxGuest(new Calls(exports)), memory: exports.memory };
}

/** One instance with one bundle. */
class OnnxGuest implements Guest {
  readonly #calls: Calls;
  #handle = 0;
  #about: Description | undefined;
  /** Offsets of values, tags and results, and the bytes of each. */
  #places = new Uint32Array(3);
  #sizes = new Uint32Array(3);

  constructor(calls: Calls) {
    this.#calls = calls;
  }

  load(bundle: Uint8Array, keys: Uint8Array, digest?: Uint8Array, nowMs?: number): string {
    const { exports } = this.#calls;
    const now = BigInt(Math.trunc(nowMs ?? 0));
    const parts = digest === undefined ? [bundle, keys] : [bundle, keys, digest];
    this.#handle = this.#calls.lend(parts, ([file = 0, trusted = 0, wanted = 0]) =>
      exports.tg_load(file, bundle.length, trusted, keys.length, wanted, now),
    );
    this.#calls.checked(exports.tg_describe(this.#handle));
    const described = this.#calls.output();
    this.#about = JSON.parse(described) as Description;
    return described;
  }

  reserve(rows: number): Uint32Array {
    const { features, outputs } = this.#described();
    const cells = rows * features.length;
    const sizes = [cells * 8, cells, Math.max(rows * RESULT_BYTES, outputs * 8)];
    sizes.forEach((bytes, at) => {
      this.#calls.free(this.#places[at] as number, this.#sizes[at] as number);
      this.#places[at] = 0;
      this.#places[at] = this.#calls.room(bytes);
      this.#sizes[at] = bytes;
    });
    return this.#places;
  }

  decide(rows: number, tagged: boolean): number {
    const [values = 0, tags = 0, results = 0] = this.#places;
    const { exports } = this.#calls;
    this.#calls.checked(exports.tg_score_batch(this.#handle, values, tagged ? tags : 0, rows, results));
    return rows;
  }

  predict(response: boolean): number {
    const [values = 0, , results = 0] = this.#places;
    const { exports } = this.#calls;
    return this.#calls.checked(exports.tg_predict(this.#handle, values, 1, Number(response), results));
  }

  /** What each value is, the core says: in the record of a decision that is thrown away. */
  read(names: string[], values: unknown[], states: string[]): string[] {
    const record = JSON.parse(this.#ask("tg_score_json", inputOf(names, values, states))) as DecisionRecord;
    const given = new Map(names.map((name, at) => [name, values[at]]));
    const row = this.#row();
    this.#described().features.forEach((feature, at) => {
      const state = record.feature_states[feature.name];
      const value = given.get(feature.name);
      row.tags[at] = state === undefined ? tagOf(value) : (TAGS[state] ?? OTHER);
      row.values[at] = typeof value === "string" ? (feature.values?.indexOf(value) ?? 0) : Number(state === undefined && value);
    });
    return [...record.unknown_features];
  }

  record(...[id, correlationId, time, counter, unknown, tagged, explained]: Parameters<Guest["record"]>): string {
    const event: EventCells = [id, correlationId, time, counter, unknown, tagged];
    const request = requestOf(this.#described().features, this.#row(), event);
    return this.#ask(explained ? "tg_explain_json" : "tg_score_json", request);
  }

  #ask(call: "tg_score_json" | "tg_explain_json", json: string): string {
    const bytes = new TextEncoder().encode(json);
    const { exports } = this.#calls;
    this.#calls.lend([bytes], ([at = 0]) => exports[call](this.#handle, at, bytes.length));
    return this.#calls.output();
  }

  /** The first row of the cells; valid until memory grows. */
  #row(): FirstRow {
    const { buffer } = this.#calls.exports.memory;
    const [values = 0, tags = 0] = this.#places;
    const width = this.#described().features.length;
    return { values: new Float64Array(buffer, values, width), tags: new Uint8Array(buffer, tags, width) };
  }

  #described(): Description {
    if (this.#about === undefined) throw "MISUSE: no bundle is loaded";
    return this.#about;
  }
}

/** The tag of a value that the core found good. */
function tagOf(value: unknown): number {
  return typeof value === "boolean" ? BOOLEAN : typeof value === "string" ? CODE : NUMBER;
}
