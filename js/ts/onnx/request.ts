// Rows and inputs as the JSON requests that the module reads.
import type { EventCells } from "../guest.js";
import { ABSENT, BOOLEAN, CODE, NULL, NUMBER } from "../marshal.js";
import type { FeatureDescription } from "../types.js";

/** JSON of a value that is of no kind at all. */
const OTHER_JSON = "[]";
/** States that the caller says, by tag. */
const SAID: ReadonlyMap<number, string> = new Map([
  [6, "stale"],
  [7, "timed_out"],
  [8, "quarantined"],
]);

/** The first row of a session's cells. */
export interface FirstRow {
  readonly values: Float64Array;
  readonly tags: Uint8Array;
}

/** The request that an event and a row of cells are together. */
export function requestOf(features: readonly FeatureDescription[], row: FirstRow, event: EventCells): string {
  const [id, correlationId, time, counter, unknown, tagged] = event;
  const members = unknown.map((name) => member(name, OTHER_JSON));
  const states: string[] = [];
  features.forEach((feature, at) => {
    const value = row.values[at] as number;
    const tag = tagged ? (row.tags[at] as number) : ownTag(value, feature);
    const said = SAID.get(tag);
    if (said !== undefined) states.push(member(feature.name, quoted(said)));
    else if (tag !== ABSENT) members.push(member(feature.name, cell(value, tag, feature)));
  });
  return object([
    ["features", `{${members.join()}}`],
    ["states", `{${states.join()}}`],
    ["decision_id", id === undefined ? "null" : quoted(id)],
    ["correlation_id", correlationId === undefined ? "null" : quoted(correlationId)],
    ["event_time", String(time ?? null)],
    ["counter", String(counter)],
  ]);
}

/** The request of names, values and states in pairs. A name that comes twice stays twice. */
export function inputOf(names: readonly string[], values: readonly unknown[], states: readonly string[]): string {
  const features = names.map((name, at) => member(name, scalar(values[at])));
  const pairs = states.flatMap((name, at) => (at % 2 === 0 ? [member(name, quoted(states[at + 1] ?? ""))] : []));
  return object([
    ["features", `{${features.join()}}`],
    ["states", `{${pairs.join()}}`],
  ]);
}

/** Without tags NaN is missing, and any other value is of its feature's own kind. */
function ownTag(value: number, feature: FeatureDescription): number {
  if (Number.isNaN(value)) return ABSENT;
  return feature.kind === "category" ? CODE : feature.kind === "boolean" ? BOOLEAN : NUMBER;
}

function cell(value: number, tag: number, feature: FeatureDescription): string {
  if (tag === NULL) return "null";
  if (tag === NUMBER) return scalar(value);
  if (tag === BOOLEAN && (value === 0 || value === 1)) return String(value === 1);
  const name = tag === CODE ? feature.values?.[value] : undefined;
  return name === undefined ? OTHER_JSON : quoted(name);
}

function scalar(value: unknown): string {
  if (typeof value === "string") return quoted(value);
  if (typeof value === "number") return numeral(value);
  return value === null || typeof value === "boolean" ? String(value) : OTHER_JSON;
}

/** JSON has neither NaN nor infinities, and JavaScript writes -0 without its sign. */
function numeral(value: number): string {
  if (!Number.isFinite(value)) return OTHER_JSON;
  return Object.is(value, -0) ? "-0.0" : String(value);
}

/** UTF-8 has no lone surrogates. */
function quoted(text: string): string {
  return JSON.stringify(text.replace(/\p{Surrogate}/gu, "\ufffd"));
}

function member(name: string, json: string): string {
  return `${quoted(name)}:${json}`;
}

function object(members: readonly (readonly [string, string])[]): string {
  return `{${members.map(([name, json]) => member(name, json)).join()}}`;
}
