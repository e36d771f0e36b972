/** Id, correlation id, time, counter, unknown names, and whether the row has tags. */
export type EventCells = [
  id: string | undefined,
  correlationId: string | undefined,
  time: number | undefined,
  counter: number,
  unknown: string[],
  tagged: boolean,
];

/**
 * One instance of a module, whichever it is. A call that the core refuses throws the core's text,
 * `CODE: what is wrong`, as a string; anything else that is thrown ended the instance.
 */
export interface Guest {
  load(bundle: Uint8Array, keys: Uint8Array, digest?: Uint8Array, nowMs?: number): string;
  reserve(rows: number): Uint32Array;
  decide(rows: number, tagged: boolean): number;
  predict(response: boolean): number;
  read(names: string[], values: unknown[], states: string[]): string[];
  record(...event: [...EventCells, explained: boolean]): string;
}

/** An instance and the memory that it shares. */
export interface Started {
  readonly guest: Guest;
  readonly memory: WebAssembly.Memory;
}

/** Makes an instance of a module that holds no bundle yet. */
export type Start = (module: WebAssembly.Module) => Started;
