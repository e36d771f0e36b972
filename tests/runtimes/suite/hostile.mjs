// Bundles that must be refused, recorded by the suite `hostile`: by the same code everywhere,
// and what served before goes on as if nothing had come.
const EVERY = 9;

export async function hostile({ createScorer, TollgateError, get, tally }) {
  const cases = parse(await get("hostile.bin"));
  const honest = cases.find((one) => one.code === "" && one.test === "the_honest_bundle_scores");
  const scorer = await createScorer({ bundle: honest.file, trust: honest.keys });
  const request = () => scorer.score({ ip_risk: 60, country: "BB" }, { id: "h", counter: 1 }).record();
  const before = request();
  for (const [index, { test, code, keys, file }] of cases.entries()) {
    // Flips and cuts of every byte are thousands: some of them suffice here.
    if (/case_02_every_byte|case_19/.test(test) && index % EVERY !== 0) continue;
    tally.same(`${test} (${index})`, await refusal(TollgateError, () => scorer.replace(file, { trust: keys })), code);
    if (code === "") await scorer.replace(honest.file, { trust: honest.keys });
    if (index % EVERY === 0) tally.same(`${test} (${index}): what served`, request(), before);
  }
  tally.same("what served, at the end", request(), before);
  for (const { test, code, keys, file } of oneOfEach(cases)) {
    const refused = await refusal(TollgateError, () => createScorer({ bundle: file, trust: keys }));
    tally.same(`${test} at the start`, refused, code);
  }
}

async function refusal(TollgateError, run) {
  try {
    await run();
    return "";
  } catch (error) {
    return error instanceof TollgateError ? error.code : `threw ${error?.stack ?? error}`;
  }
}

/** The first case of each code. */
function oneOfEach(cases) {
  return [...new Map(cases.toReversed().map((one) => [one.code, one])).values()];
}

/** A line of JSON and a file, again and again. */
function parse(bytes) {
  const cases = [];
  for (let at = 0; at < bytes.length; ) {
    const end = bytes.indexOf(10, at);
    const head = JSON.parse(new TextDecoder().decode(bytes.subarray(at, end)));
    at = end + 1 + head.bytes;
    const keys = Uint8Array.from(head.keys.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
    cases.push({ ...head, keys, file: bytes.subarray(end + 1, at) });
  }
  return cases;
}
