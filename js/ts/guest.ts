/** What wasm-bindgen makes of `js/src/lib.rs`: one instance of the module. */
export interface Guest {
  load(bundle: Uint8Array, keys: Uint8Array, digest?: Uint8Array, nowMs?: number): string;
  reserve(rows: number): Uint32Array;
  decide(rows: number, tagged: boolean): number;
  predict(response: boolean): number;
  read(request: unknown): string[];
  record(event: unknown, tagged: boolean): string;
  explain(event: unknown, tagged: boolean): string;
  random_id(): string;
}

/** The glue of one instance; `initSync` makes the instance. */
export interface Glue extends Guest {
  initSync(options: { module: WebAssembly.Module }): { readonly memory: WebAssembly.Memory };
}
