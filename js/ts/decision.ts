import { type Event, cellsOf, randomId } from "./event.js";
import type { Row } from "./marshal.js";
import { type Session, Trap } from "./session.js";
import type { Action, Costs, Decision, DecisionRecord, Source } from "./types.js";

export const ACTIONS = ["allow", "challenge", "block"] as const satisfies readonly Action[];
const SOURCES: readonly Source[] = [
  "cutoffs",
  "segment",
  "segment_cap",
  "missing_cap",
  "missing_floor",
  "required",
];

/** A decision that the core made, with the row to make its record from. */
export class Decided implements Decision {
  readonly #session: Session;
  readonly #row: Row;
  readonly #event: Event;
  readonly #costs: readonly [number, number, number];

  constructor(
    session: Session,
    row: Row,
    event: Event,
    readonly action: Action,
    readonly source: Source,
    readonly standIns: number,
    readonly margin: number | null,
    readonly probability: number | null,
    costs: readonly [number, number, number],
  ) {
    this.#session = session;
    this.#row = row;
    this.#event = event;
    this.#costs = costs;
  }

  get degraded(): boolean {
    return this.standIns > 0;
  }

  get expectedCost(): Costs | null {
    const [allow, challenge, block] = this.#costs;
    return Number.isNaN(allow) ? null : { allow, challenge, block };
  }

  get id(): string | null {
    return identified(this.#event);
  }

  record(): string {
    identified(this.#event);
    try {
      return recordOf(this.#session, this.#row, this.#event);
    } catch (trap) {
      if (!(trap instanceof Trap)) throw trap;
      // The decision was made; a fresh instance makes its record.
      return recordOf(this.#session, this.#row, this.#event);
    }
  }

  toJSON(): DecisionRecord {
    return JSON.parse(this.record()) as DecisionRecord;
  }
}

/** What answers when the scorer itself is lost: the bundle's fixed action, marked. */
export class Fallback implements Decision {
  readonly source = "fallback";
  readonly probability = null;
  readonly margin = null;
  readonly expectedCost = null;
  readonly standIns: number;
  readonly degraded = true;
  readonly action: Action;
  readonly #session: Session;
  readonly #event: Event;

  constructor(session: Session, event: Event) {
    this.action = session.about.fallback_action;
    this.standIns = session.width;
    this.#session = session;
    this.#event = event;
  }

  get id(): string | null {
    return identified(this.#event);
  }

  record(): string {
    return JSON.stringify(this.toJSON());
  }

  toJSON(): DecisionRecord {
    identified(this.#event);
    return fallbackRecord(this.#session, this.#event);
  }
}

/** Reads the result of one row. */
export function decided(session: Session, row: Row, event: Event): Decided {
  const { bytes, halves, numbers } = session.cells(1);
  const source = SOURCES[bytes[1] as number] ?? "cutoffs";
  return new Decided(
    session,
    row,
    event,
    ACTIONS[bytes[0] as number] ?? session.about.fallback_action,
    source,
    halves[1] as number,
    orNull(numbers[1] as number),
    orNull(numbers[2] as number),
    [numbers[3] as number, numbers[4] as number, numbers[5] as number],
  );
}

/** Lays a row into memory. */
export function lay(session: Session, row: Row): void {
  const { values, tags } = session.cells(1);
  values.set(row.values);
  if (row.tags !== undefined) tags.set(row.tags);
}

function recordOf(session: Session, row: Row, event: Event): string {
  lay(session, row);
  return session.run((guest) => guest.record(...cellsOf(event, row), false));
}

/** Draws the id that the caller did not give; null where there is no randomness. */
function identified(event: Event): string | null {
  if (event.id === undefined) {
    try {
      event.id = randomId();
    } catch {
      return null;
    }
  }
  return event.id;
}

function orNull(number: number): number | null {
  return Number.isNaN(number) ? null : number;
}

function fallbackRecord(session: Session, event: Event): DecisionRecord {
  const { about } = session;
  return {
    decision_id: event.id ?? null,
    correlation_id: event.correlationId,
    event_time: event.time,
    use_case: about.use_case,
    action: about.fallback_action,
    label: about.labels[ACTIONS.indexOf(about.fallback_action)] ?? null,
    source: "fallback",
    source_detail: "trap",
    margin: null,
    probability: null,
    cutoffs: null,
    expected_cost: null,
    segment: null,
    reasons: [],
    rules_fired: [],
    overrides: [],
    feature_states: {},
    unknown_features: [],
    degraded: true,
    bundle_digest: about.digest,
    bundle_name: about.name,
    bundle_version: about.version,
    calibrator_version: null,
    release_sequence: null,
    slot: "stable",
    shadow: [],
    counter: event.counter,
    module_version: null,
    record_version: 1,
  };
}
