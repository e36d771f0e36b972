// The calls of `tollgate-onnx.wasm`: plain WebAssembly that imports nothing, as its page
// `scorer/wasm/README.md` describes it.

/** The module's exports that are called here. */
export interface Exports {
  readonly memory: WebAssembly.Memory;
  tg_alloc(bytes: number): number;
  tg_free(offset: number, bytes: number): void;
  tg_load(
    bundle: number,
    bundleBytes: number,
    keys: number,
    keysBytes: number,
    digest: number,
    nowMs: bigint,
  ): number;
  tg_describe(handle: number): number;
  tg_score_batch(handle: number, values: number, tags: number, rows: number, results: number): number;
  tg_predict(handle: number, values: number, rows: number, response: number, results: number): number;
  tg_score_json(handle: number, json: number, jsonBytes: number): number;
  tg_explain_json(handle: number, json: number, jsonBytes: number): number;
  tg_output(): number;
  tg_output_bytes(): number;
}

/** The exports of one instance, with memory that is lent and errors that are thrown. */
export class Calls {
  constructor(readonly exports: Exports) {}

  /** A call's result; a refusal is thrown as the core's text. */
  checked(result: number): number {
    if (result < 0) throw this.output();
    return result;
  }

  /** The text that the last call left. */
  output(): string {
    const { memory, tg_output, tg_output_bytes } = this.exports;
    return new TextDecoder().decode(new Uint8Array(memory.buffer, tg_output() >>> 0, tg_output_bytes()));
  }

  /** Memory that stays until the instance ends. */
  room(bytes: number): number {
    const offset = this.exports.tg_alloc(bytes) >>> 0;
    if (offset === 0) throw "LIMIT: batch: not enough memory for so many rows";
    return offset;
  }

  free(offset: number, bytes: number): void {
    this.exports.tg_free(offset, bytes);
  }

  /** Lends byte strings to a call. What the call throws as a text leaves the instance whole. */
  lend(parts: readonly Uint8Array[], call: (offsets: readonly number[]) => number): number {
    const offsets = parts.map((part) => this.#put(part));
    const result = call(offsets);
    parts.forEach((part, at) => this.free(offsets[at] as number, part.length));
    return this.checked(result);
  }

  #put(bytes: Uint8Array): number {
    const offset = this.room(bytes.length);
    new Uint8Array(this.exports.memory.buffer).set(bytes, offset);
    return offset;
  }
}
