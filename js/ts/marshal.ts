import type { Description, FeatureDescription } from "./types.js";

/** Tags of cells, as the core reads them. */
export const NUMBER = 0;
export const ABSENT = 1;
export const NULL = 2;
export const BOOLEAN = 3;
export const CODE = 4;
export const OTHER = 5;

/** Entries that an input may have; what lies behind them is not looked at. */
const ENTRIES = 20_000;

/** A row as it is kept until its record is asked for. */
export interface Row {
  readonly values: readonly number[];
  /** Without tags NaN is missing, and any other value is of its feature's own kind. */
  readonly tags: readonly number[] | undefined;
  /** Names that the schema does not know. */
  readonly unknown: readonly string[];
}

export const NONE: readonly string[] = [];

/**
 * Turns objects into cells: one number and one tag a feature. Whether a value is allowed, and
 * what stands in for it, is the core's affair.
 */
export class Marshal {
  readonly #names: readonly string[];
  readonly #codes: readonly (ReadonlyMap<string, number> | undefined)[];
  readonly #known: ReadonlySet<string>;
  /** Names that every object has from its prototype. */
  readonly #inherited: boolean;

  constructor(about: Description) {
    this.#names = about.features.map((feature) => feature.name);
    this.#codes = about.features.map(codesOf);
    this.#known = new Set(this.#names);
    this.#inherited = this.#names.some((name) => name in Object.prototype);
  }

  /** The row of a plain object, or undefined for anything else. */
  row(features: object): Row | undefined {
    const prototype: unknown = Object.getPrototypeOf(features);
    if (prototype !== Object.prototype && prototype !== null) return undefined;
    const source = features as Readonly<Record<string, unknown>>;
    const keys = Object.keys(source);
    const row = this.#read(source, this.#inherited);
    if (row.found === keys.length) return row;
    // Some name is unknown, undefined, or came from a prototype: look at each key.
    const strict = this.#read(source, true);
    const unknown = keys.filter((key) => !this.#known.has(key) && source[key] !== undefined);
    return { values: strict.values, tags: strict.tags, unknown };
  }

  /** The row in which each feature has this state of affairs: absent or unusable. */
  blank(absent: boolean): Row {
    const width = this.#names.length;
    const tag = absent ? ABSENT : OTHER;
    return { values: new Array<number>(width).fill(0), tags: new Array<number>(width).fill(tag), unknown: NONE };
  }

  #read(source: Readonly<Record<string, unknown>>, own: boolean): Row & { readonly found: number } {
    const names = this.#names;
    const width = names.length;
    const values = new Array<number>(width);
    const tags = new Array<number>(width);
    let found = 0;
    for (let at = 0; at < width; at++) {
      const name = names[at] as string;
      const value = own && !Object.hasOwn(source, name) ? undefined : source[name];
      let number = 0;
      let tag = OTHER;
      if (typeof value === "number") {
        number = value;
        tag = NUMBER;
      } else if (typeof value === "boolean") {
        number = value ? 1 : 0;
        tag = BOOLEAN;
      } else if (typeof value === "string") {
        const code = this.#codes[at]?.get(value);
        if (code !== undefined) {
          number = code;
          tag = CODE;
        }
      } else if (value === undefined) {
        tag = ABSENT;
        found--;
      } else if (value === null) {
        tag = NULL;
      }
      found++;
      values[at] = number;
      tags[at] = tag;
    }
    return { values, tags, unknown: NONE, found };
  }
}

/** Pairs of name and value of an input of any shape. */
export function entriesOf(features: object): [string, unknown][] {
  const pairs = Symbol.iterator in features ? (features as Iterable<unknown>) : Object.entries(features);
  const entries: [string, unknown][] = [];
  for (const pair of pairs) {
    if (entries.length === ENTRIES) break;
    const [name, value] = Array.isArray(pair) ? (pair as unknown[]) : [String(pair), OTHER_VALUE];
    if (value !== undefined) entries.push([String(name), scalar(value)]);
  }
  return entries;
}

/** A value that is neither number, boolean, text nor null. */
const OTHER_VALUE: readonly unknown[] = [];

function scalar(value: unknown): unknown {
  const kind = typeof value;
  return value === null || kind === "number" || kind === "boolean" || kind === "string" ? value : OTHER_VALUE;
}

function codesOf(feature: FeatureDescription): ReadonlyMap<string, number> | undefined {
  return feature.values && new Map(feature.values.map((name, code) => [name, code]));
}
