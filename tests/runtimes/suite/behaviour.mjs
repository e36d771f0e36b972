// What the package promises besides records: bad data is no exception, misuse is one with a
// code, a trap is survived, a bundle is replaced whole or not at all.
import { open } from "./vectors.mjs";

const FOLDER = "vectors/signup";
const GOOD = { ip_signups_1h: 3, is_tor: false, channel: "web", asn_risk: 0.2 };

export async function behaviour(runtime) {
  const scorer = await open(runtime.createScorer, runtime.get, FOLDER);
  for (const part of [badData, bothRoads, misuse, ids, explanations]) await part(runtime, scorer);
  await pinned(runtime);
  await replaced(runtime);
  await trapped(runtime);
}

/** Values that JSON does not know; each makes its feature invalid or missing and no more. */
function strange() {
  return [
    [undefined, "missing"], [null, "null"], [Number.NaN, "invalid"], [Number.POSITIVE_INFINITY, "invalid"],
    ["", "invalid"], ["3", "invalid"], [true, "invalid"], [12n, "invalid"], [Symbol("s"), "invalid"],
    [() => 1, "invalid"], [new Date(0), "invalid"], [new Number(3), "invalid"], [[], "invalid"], [{}, "invalid"],
    [new Uint8Array(8), "invalid"], [new Map(), "invalid"], [/x/, "invalid"], [Promise.resolve(1), "invalid"],
    [{ valueOf: () => { throw new Error("valueOf"); } }, "invalid"],
  ];
}

function badData({ tally }, scorer) {
  for (const [value, state] of strange()) {
    const record = scorer.score({ ...GOOD, ip_signups_1h: value }, { id: null }).toJSON();
    tally.same(`state of ${typeof value}`, record.feature_states.ip_signups_1h, state);
    tally.same(`action with ${typeof value}`, record.action === "block", false);
  }
  const throwing = Object.defineProperty({}, "ip_signups_1h", { enumerable: true, get: () => { throw new Error("no"); } });
  const proxy = new Proxy({}, { ownKeys: () => { throw new Error("no"); } });
  for (const features of [undefined, null, 7, "text", [], () => {}, throwing, proxy, new Map([[Symbol("a"), 1]]), Object.create(GOOD)]) {
    const decision = scorer.score(features, { id: null });
    tally.same(`action for ${typeof features}`, decision.action, "challenge");
    tally.same(`all stand in for ${typeof features}`, decision.standIns, 22);
  }
}

/** The short road and the long one give the same record for whatever is in an object. */
function bothRoads({ tally }, scorer) {
  const unknown = { surplus: 1, constructor: 2, "na\u00efve": null, gone: undefined };
  const inputs = strange().map(([value]) => ({ ...GOOD, ...unknown, ip_signups_1h: value, country_group: value }));
  inputs.push({}, unknown, JSON.parse('{"__proto__": 1, "is_tor": true}'), Object.assign(Object.create(null), GOOD));
  for (const input of inputs) {
    const options = { id: "r", now: 5, counter: 9, correlationId: "c" };
    const short = scorer.score(input, options).record();
    tally.same("a Map", scorer.score(new Map(Object.entries(input)), options).record(), short);
    tally.same("pairs", scorer.score(Object.entries(input)[Symbol.iterator](), options).record(), short);
    tally.same("with a context", scorer.score(input, { ...options, context: {}, states: {} }).record(), short);
  }
  const twice = [["ip_signups_1h", 1], ["ip_signups_1h", 1]];
  tally.same("given twice", scorer.score(twice, { id: null }).toJSON().feature_states.ip_signups_1h, "invalid");
}

function misuse({ TollgateError, tally }, scorer) {
  const cases = [
    [() => scorer.score(GOOD, { surprise: 1 }), "REQUEST"],
    [() => scorer.score(GOOD, { id: 7 }), "REQUEST"],
    [() => scorer.score(GOOD, { id: "x".repeat(1025) }), "REQUEST"],
    [() => scorer.score(GOOD, { correlationId: "\u00e9".repeat(600) }), "REQUEST"],
    [() => scorer.score(GOOD, { now: Number.NaN }), "REQUEST"],
    [() => scorer.score(GOOD, { counter: -1 }), "REQUEST"],
    [() => scorer.score(GOOD, { states: { asn_risk: "tired" } }), "REQUEST"],
    [() => scorer.scoreRow(new Float64Array(23)), "MISUSE"],
    [() => scorer.scoreRow([1, 2], new Uint8Array(1)), "MISUSE"],
    [() => scorer.scoreBatch(new Float64Array(23)), "MISUSE"],
    [() => scorer.predict([1]), "MISUSE"],
  ];
  for (const [run, code] of cases) tally.same(String(run), codeOf(TollgateError, run), code);
  tally.same("long but allowed", scorer.score(GOOD, { id: "x".repeat(1024) }).toJSON().decision_id.length, 1024);
}

function ids({ tally }, scorer) {
  const [one, two] = [scorer.score(GOOD), scorer.score(GOOD)];
  tally.same("an id is drawn", /^[0-9a-f]{32}$/.test(one.id) && one.id !== two.id, true);
  tally.same("and stays", one.toJSON().decision_id, one.id);
  tally.same("JSON.stringify", JSON.stringify(one), one.record());
  tally.same("decisions count", two.toJSON().counter - one.toJSON().counter, 1);
  tally.same("a date", scorer.score(GOOD, { id: null, now: new Date(1234) }).toJSON().event_time, 1234);
  const earlier = scorer.score(GOOD, { id: "e" });
  const record = earlier.record();
  scorer.scoreRow(new Float64Array(22));
  tally.same("a record can be made later", earlier.record(), record);
}

async function explanations({ get, tally }, scorer) {
  const [line] = new TextDecoder().decode(await get(`${FOLDER}/requests.ndjson`)).split("\n");
  const input = JSON.parse(line).features;
  const { margin, expected_margin, features, record } = scorer.explain(input, { id: "x" });
  const sum = features.reduce((sum, feature) => sum + feature.contribution, expected_margin);
  tally.same("contributions add up to the margin", Math.abs(sum - margin) < 1e-9, true);
  const { counter } = record;
  const again = scorer.score(input, { id: "x", counter }).record();
  tally.same("the record is the decision's", JSON.stringify(record), again);
}

/** Digest and clock at the load. */
async function pinned({ createScorer, TollgateError, get, tally }) {
  const [bundle, trust] = [await get(`${FOLDER}/bundle.tollgate`), await get(`${FOLDER}/trust.key`)];
  const { digest, created_ms } = (await createScorer({ bundle, trust })).describe();
  const load = (more) => codeOfAsync(TollgateError, () => createScorer({ bundle, trust, ...more }));
  tally.same("the digest that is wanted", await load({ digest }), "");
  tally.same("another digest", await load({ digest: "0".repeat(64) }), "DIGEST");
  tally.same("no digest", await load({ digest: "xyz" }), "MISUSE");
  tally.same("a clock far behind", await load({ now: created_ms - 600_000 }), "NOT_YET");
  tally.same("keys that are none", await load({ trust: new Uint8Array(31) }), "TRUST");
  tally.same("a text that is no key", await load({ trust: "hello" }), "TRUST");
  const stopped = new AbortController();
  stopped.abort();
  const aborted = createScorer({ bundle, trust, signal: stopped.signal });
  tally.same("aborted", await aborted.then(() => "made", (error) => error.name), "AbortError");
}

async function replaced({ createScorer, TollgateError, get, tally }) {
  const scorer = await open(createScorer, get, FOLDER);
  const earlier = scorer.score(GOOD, { id: "e" });
  const [bundle, trust] = [await get("vectors/loan/bundle.tollgate"), await get("vectors/loan/trust.key")];
  tally.same("the other bundle", (await scorer.replace(bundle, { trust })).name, "loan");
  tally.same("serves", scorer.score({}, { id: null }).toJSON().bundle_name, "loan");
  tally.same("and counts anew", scorer.score({}, { id: null }).toJSON().counter, 2);
  tally.same("earlier decisions keep theirs", earlier.toJSON().bundle_name, "signup");
  scorer.dispose();
  tally.same("disposed", codeOf(TollgateError, () => scorer.score(GOOD)), "DISPOSED");
}

/** A module whose only function is `unreachable`: calling it is a trap like any other. */
export const TRAP = [0, 97, 115, 109, 1, 0, 0, 0, 1, 4, 1, 96, 0, 0, 3, 2, 1, 0, 7, 5, 1, 1, 116, 0, 0, 10, 5, 1, 3, 0, 0, 11];

/** What decides, records and explains: in the lean module, and in the one for graphs. */
const MINED = ["decide", "record", "tg_score_batch", "tg_score_json", "tg_explain_json"];

/** Instances of the module whose calls can be made to trap. */
function mined(trapModule) {
  const { Instance } = WebAssembly;
  const { t: trap } = new Instance(trapModule).exports;
  const state = { made: 0, armed: false, restore: () => (WebAssembly.Instance = Instance) };
  const guarded = (call) => (...parameters) => {
    if (!state.armed) return call(...parameters);
    state.armed = false;
    return trap();
  };
  WebAssembly.Instance = class extends Instance {
    constructor(...parameters) {
      super(...parameters);
      state.made++;
      const { exports } = this;
      const mines = MINED.filter((name) => name in exports).map((name) => [name, guarded(exports[name])]);
      Object.defineProperty(this, "exports", { value: { ...exports, ...Object.fromEntries(mines) } });
    }
  };
  return state;
}

/** A trap loses no more than the answer that it interrupted, and that one is marked. */
async function trapped({ createScorer, TollgateError, get, tally, compile = (bytes) => WebAssembly.compile(bytes) }) {
  const mine = mined(await compile(Uint8Array.from(TRAP)));
  try {
    const scorer = await open(createScorer, get, FOLDER);
    const before = scorer.score(GOOD, { id: "t", counter: 1 });
    const record = before.record();
    mine.armed = true;
    const fallen = scorer.score(GOOD, { id: "t", correlationId: "c", now: 7, counter: 2 });
    tally.same("the fallback answers", `${fallen.action} ${fallen.source} ${fallen.degraded}`, "challenge fallback true");
    const { source_detail, decision_id, event_time, counter, bundle_name } = fallen.toJSON();
    tally.same("and is marked", `${source_detail} ${decision_id} ${event_time} ${counter} ${bundle_name}`, "trap t 7 2 signup");
    tally.same("a fresh instance serves", scorer.score(GOOD, { id: "t", counter: 1 }).record(), record);
    tally.same("it is another one", mine.made, 2);
    tally.same("earlier decisions have their record", before.record(), record);
    mine.armed = true;
    tally.same("a record is made by the next instance", before.record(), record);
    mine.armed = true;
    const batch = scorer.scoreBatch(new Float64Array(22 * 3));
    tally.same("a batch falls back", `${batch.action(2)} ${batch.probabilities[0]} ${batch.bytes[1]}`, "challenge NaN 255");
    tally.same("and the next does not", scorer.scoreBatch(new Float64Array(22 * 3)).bytes[1] < 255, true);
    mine.armed = true;
    tally.same("an explanation says so", codeOf(TollgateError, () => scorer.explain(GOOD)), "TRAP");
    tally.same("and works again", scorer.explain(GOOD, { id: null }).record.bundle_name, "signup");
    tally.same("instances in all", mine.made, 5);
  } finally {
    mine.restore();
  }
}

function codeOf(TollgateError, run) {
  try {
    run();
    return "";
  } catch (error) {
    return error instanceof TollgateError ? error.code : `threw ${error?.stack ?? error}`;
  }
}

async function codeOfAsync(TollgateError, run) {
  try {
    await run();
    return "";
  } catch (error) {
    return error instanceof TollgateError ? error.code : `threw ${error?.stack ?? error}`;
  }
}
