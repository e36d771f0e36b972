/** Id, correlation id, time, counter, unknown names, and whether the row has tags. */
export type EventCells = [
  id: string | undefined,
  correlationId: string | undefined,
  time: number | undefined,
  counter: number,
  unknown: string[],
  tagged: boolean,
];

/** What wasm-bindgen makes of `js/src/lib.rs`: one instance of the module. */
export interface Guest {
  load(bundle: Uint8Array, keys: Uint8Array, digest?: Uint8Array, nowMs?: number): string;
  reserve(rows: number): Uint32Array;
  decide(rows: number, tagged: boolean): number;
  predict(response: boolean): number;
  read(names: string[], values: unknown[], states: string[]): string[];
  record(...event: EventCells): string;
  explain(...event: EventCells): string;
  random_id(): string;
}

/** The glue of one instance; `initSync` makes the instance. */
export interface Glue extends Guest {
  initSync(options: { module: WebAssembly.Module }): { readonly memory: WebAssembly.Memory };
}
