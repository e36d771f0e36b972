// Recorded decisions, byte for byte: requests by both roads into the module, typed rows alone
// and in batches, rows with tags.
const MODELS = ["signup", "loan", "checkout"];
/** Committed vectors, and those at the edges that `make-vectors --edges` made. */
const COMMITTED = MODELS.map((model) => `vectors/${model}`);
const EDGES = MODELS.map((model) => `edges/${model}`);

/** A suite over folders, each with a scorer of its own. */
const each = (folders, check) => async (runtime) => {
  for (const folder of folders) {
    const scorer = await open(runtime.createScorer, runtime.get, folder);
    await check(scorer, folder, runtime);
    scorer.dispose();
  }
};

export const records = each([...COMMITTED, ...EDGES], folderRecords);
export const roads = each([...COMMITTED, ...EDGES], folderRoads);
export const rows = each(COMMITTED, folderRows);
export const tagged = each(EDGES, folderRows);

export async function folderRecords(scorer, folder, { get, tally }) {
  await replay(get, tally, folder, (request) => scorer.score(request.features, optionsOf(request)));
}

/** The same requests with their features as a Map, which takes the long road. */
export async function folderRoads(scorer, folder, { get, tally }) {
  const asMap = (request) => new Map(Object.entries(request.features));
  await replay(get, tally, folder, (request) => scorer.score(asMap(request), optionsOf(request)));
}

/** Typed rows, with tags where the folder is one of edges. */
export async function folderRows(scorer, folder, { get, tally }) {
  const cells = doubles(await get(`${folder}/rows.f64`));
  const tags = COMMITTED.includes(folder) ? undefined : await get(`${folder}/tags.bin`);
  const expected = await get(`${folder}/compact.bin`);
  const batch = scorer.scoreBatch(cells, tags);
  const width = scorer.describe().features.length;
  for (let row = 0; row < expected.length / 64; row++) {
    const [from, to] = [row * width, row * width + width];
    const alone = scorer.scoreRow(cells.subarray(from, to), tags?.subarray(from, to));
    tally.same(`${folder} row ${row}`, summary(alone), summaryOf(expected, row));
    const together = hex(batch.bytes.subarray(row * 64, row * 64 + 64));
    tally.same(`${folder} row ${row} in a batch`, together, hex(expected.subarray(row * 64, row * 64 + 64)));
  }
}

/** A scorer for the bundle of a folder. */
export async function open(createScorer, get, folder) {
  const [bundle, trust] = [await get(`${folder}/bundle.tollgate`), await get(`${folder}/trust.key`)];
  return createScorer({ bundle, trust });
}

async function replay(get, tally, folder, score) {
  const [requests, expected] = [await lines(get, `${folder}/requests.ndjson`), await lines(get, `${folder}/records.ndjson`)];
  if (requests.length !== expected.length) tally.differs(`${folder}: ${requests.length} requests`);
  for (const [index, line] of requests.entries()) {
    const want = expected[index];
    // A refused request is an error here; its code is the start of the recorded text.
    const code = want.startsWith("{") ? want : want.split(":")[0];
    tally.same(`${folder} request ${index + 1}: ${line}`, attempt(() => score(JSON.parse(line)).record()), code);
  }
}

function attempt(run) {
  try {
    return run();
  } catch (error) {
    return error?.name === "TollgateError" ? error.code : `threw ${error?.stack ?? error}`;
  }
}

/** The members of a JSON request as options of `score`. */
function optionsOf({ features: _, decision_id, correlation_id, event_time, ...rest }) {
  return {
    id: decision_id ?? null,
    ...(correlation_id !== undefined && { correlationId: correlation_id }),
    ...(event_time !== undefined && { now: event_time }),
    ...rest,
  };
}

const ACTIONS = ["allow", "challenge", "block"];
const SOURCES = ["cutoffs", "segment", "segment_cap", "missing_cap", "missing_floor", "required"];

/** A decision's numbers as the bits that they are. */
function summary(decision) {
  const costs = decision.expectedCost ?? { allow: NaN, challenge: NaN, block: NaN };
  const numbers = [decision.margin ?? NaN, decision.probability ?? NaN, costs.allow, costs.challenge, costs.block];
  return [decision.action, decision.source, decision.degraded, decision.standIns, ...numbers.map(bits)].join(" ");
}

function summaryOf(bytes, row) {
  const view = new DataView(bytes.buffer, bytes.byteOffset + row * 64, 64);
  const numbers = [8, 16, 24, 32, 40].map((at) => bits(view.getFloat64(at, true)));
  const head = [ACTIONS[view.getUint8(0)], SOURCES[view.getUint8(1)], view.getUint8(2) === 1, view.getUint32(4, true)];
  return [...head, ...numbers].join(" ");
}

function bits(number) {
  return Number.isNaN(number) ? "nan" : hex(new Uint8Array(Float64Array.of(number).buffer));
}

function hex(bytes) {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function doubles(bytes) {
  return new Float64Array(bytes.slice().buffer);
}

async function lines(get, path) {
  return new TextDecoder().decode(await get(path)).trimEnd().split("\n");
}
