/** What a decision says, from the mildest to the strictest. */
export type Action = "allow" | "challenge" | "block";

/** Why a feature has no usable value. */
export type State = "missing" | "null" | "invalid" | "stale" | "timed_out" | "quarantined";

/** The stage of the policy that had the last word. `fallback`: the scorer itself was lost. */
export type Source =
  | "cutoffs"
  | "segment"
  | "segment_cap"
  | "missing_cap"
  | "missing_floor"
  | "required"
  | "fallback";

/** What each action is expected to cost. */
export interface Costs {
  readonly allow: number;
  readonly challenge: number;
  readonly block: number;
}

/** One reason of a decision; `contribution` is null where a stage of the policy decided. */
export interface Reason<Code extends string = string> {
  readonly code: Code;
  readonly rank: number;
  readonly contribution: number | null;
  /** The contribution comes from a sample, as those of neural nets do. */
  readonly approximate?: true;
}

/** The full record of a decision, version 1; its keys are those of every runtime. */
export interface DecisionRecord<Code extends string = string> {
  readonly decision_id: string | null;
  readonly correlation_id: string | null;
  readonly event_time: number | null;
  readonly use_case: string;
  readonly action: Action;
  readonly label: string | null;
  readonly source: Source;
  readonly source_detail: string | null;
  readonly margin: number | null;
  readonly probability: number | null;
  readonly cutoffs: { readonly challenge: number | null; readonly block: number } | null;
  readonly expected_cost: Costs | null;
  readonly segment: string | null;
  readonly reasons: readonly Reason<Code>[];
  readonly rules_fired: readonly unknown[];
  readonly overrides: readonly unknown[];
  readonly feature_states: Readonly<Record<string, State>>;
  readonly unknown_features: readonly string[];
  readonly degraded: boolean;
  readonly bundle_digest: string;
  readonly bundle_name: string;
  readonly bundle_version: string;
  readonly calibrator_version: string | null;
  readonly release_sequence: number | null;
  readonly slot: string;
  readonly shadow: readonly unknown[];
  readonly counter: number;
  readonly module_version: string | null;
  readonly record_version: number;
}

/** One decision. Its numbers are there at once; the record is made when it is asked for. */
export interface Decision<Code extends string = string> {
  readonly action: Action;
  readonly source: Source;
  /** Calibrated probability of bad; null when nothing was scored. */
  readonly probability: number | null;
  /** The model's raw score; null when nothing was scored. */
  readonly margin: number | null;
  readonly expectedCost: Costs | null;
  /** How many features have a stand-in for their value. */
  readonly standIns: number;
  /** Something kept the whole model from speaking on whole data. */
  readonly degraded: boolean;
  /** The caller's id, or one that is drawn when it is first read. */
  readonly id: string | null;
  /** The record as text: the same bytes on every runtime. */
  record(): string;
  /** The record as an object, so that `JSON.stringify(decision)` writes it. */
  toJSON(): DecisionRecord<Code>;
}

/** What one feature adds to the margin. */
export interface Contribution<Name extends string = string> {
  readonly feature: Name;
  readonly code: string;
  readonly state: State | "present";
  readonly value: number | string | null;
  readonly contribution: number;
}

/** Why a decision's margin is what it is. */
export interface Explanation<Name extends string = string, Code extends string = string> {
  readonly margin: number | null;
  readonly expected_margin: number | null;
  /** Contributions come from a sample, as those of neural nets do. */
  readonly approximate?: true;
  readonly features: readonly Contribution<Name>[];
  readonly reasons: readonly (Reason<Code> & {
    readonly near_tie: boolean;
    readonly text: Readonly<Record<string, string>>;
  })[];
  readonly record: DecisionRecord<Code>;
}

/** One feature of a bundle. */
export interface FeatureDescription {
  readonly name: string;
  readonly kind: "number" | "integer" | "boolean" | "category";
  readonly scored: boolean;
  /** Of a category: its values; their positions are the codes. */
  readonly values?: readonly string[];
}

/** What a bundle is. */
export interface Description {
  readonly name: string;
  readonly version: string;
  readonly digest: string;
  readonly created_ms: number;
  readonly abi: number;
  readonly use_case: string;
  readonly labels: readonly string[];
  readonly fallback_action: Action;
  readonly outputs: number;
  readonly scored_features: number;
  readonly explains: boolean;
  /** What explains comes from a sample, as for neural nets. */
  readonly approximate?: true;
  readonly golden_rows: number;
  readonly unknown_parts: number;
  readonly features: readonly FeatureDescription[];
}

/** Decisions on many rows, column by column. */
export interface Batch {
  readonly length: number;
  /** 0 allow, 1 challenge, 2 block. */
  readonly actions: Uint8Array;
  /** NaN where nothing was scored. */
  readonly probabilities: Float64Array;
  readonly margins: Float64Array;
  readonly standIns: Uint32Array;
  /** The 64 bytes of each row, as the module's ABI page lays them out. */
  readonly bytes: Uint8Array;
  action(row: number): Action;
}

/** Public keys that may sign bundles: the text of a `.pub` file, or 32 raw bytes each. */
export type Trust = string | Uint8Array | readonly (string | Uint8Array)[];

/** Where bytes come from; texts and URLs are fetched. */
export type BytesSource = Uint8Array | ArrayBuffer | Response | URL | string;

/** The compiled module, or where it comes from. */
export type WasmSource = WebAssembly.Module | BytesSource;

export interface CreateOptions {
  /** The signed bundle. */
  readonly bundle: BytesSource | Promise<BytesSource>;
  readonly trust: Trust;
  /** The module, where it is not the one that comes with the package. */
  readonly wasm?: WasmSource | Promise<WasmSource>;
  /** The digest of the only bundle that is wanted, 64 hexadecimal digits. */
  readonly digest?: string;
  /** The clock, milliseconds since 1970; `Date.now()` unless given. */
  readonly now?: number;
  readonly signal?: AbortSignal;
}

export interface ReplaceOptions {
  /** Other keys than those of the bundle that serves. */
  readonly trust?: Trust;
  readonly digest?: string;
  readonly now?: number;
  readonly signal?: AbortSignal;
}

export interface ScoreOptions<F extends object = Record<string, unknown>> {
  /** The decision's id; null for none. Without this one is drawn when it is read. */
  readonly id?: string | null;
  /** The caller's id of the request that led here. */
  readonly correlationId?: string | null;
  /** When the event happened. Nothing is claimed about time without it. */
  readonly now?: number | Date | null;
  /** Further values by feature name, such as the merchant or the country. */
  readonly context?: Partial<F>;
  /** Features whose values are not to be used, and why. */
  readonly states?: { readonly [Name in keyof F]?: State };
  /** The position in the caller's log; without it the scorer counts. */
  readonly counter?: number;
}

/** Decides with one bundle at a time. */
export interface Scorer<F extends object = Record<string, unknown>, Code extends string = string> {
  /** Decides for an object of feature values. Bad data is never an exception. */
  score(features: F, options?: ScoreOptions<F>): Decision<Code>;
  /** Decides for numbers in schema order, NaN where missing; `tags` say more, a byte each. */
  scoreRow(row: Float64Array | readonly number[], tags?: Uint8Array, options?: ScoreOptions<F>): Decision<Code>;
  /** Decides for full rows, one behind the other. */
  scoreBatch(rows: Float64Array, tags?: Uint8Array): Batch;
  /** The model alone: raw scores of a row, or with `response` what the trainer's `predict` gives. */
  predict(row: Float64Array | readonly number[], response?: boolean): Float64Array;
  /** Decides and tells what each feature adds to the margin. */
  explain(features: F, options?: ScoreOptions<F>): Explanation<keyof F & string, Code>;
  /** What the bundle is that serves. */
  describe(): Description;
  /** Verifies another bundle and swaps it in; when it is refused, the old one goes on. */
  replace(bundle: BytesSource | Promise<BytesSource>, options?: ReplaceOptions): Promise<Description>;
  /** Frees the bundle; the scorer cannot be used any more. */
  dispose(): void;
  [Symbol.dispose](): void;
}
