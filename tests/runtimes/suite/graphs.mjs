// A bundle whose model is an ONNX graph: `tollgate/onnx` decides what wasmtime recorded, byte
// for byte, and the lean module refuses it and says where to go.
import { TRAP } from "./behaviour.mjs";
import { folderRecords, folderRoads, folderRows, open } from "./vectors.mjs";

const FOLDER = "graphs/net";
/** The row that is explained: every feature missing. */
const EMPTY = {};

export async function graphs(runtime) {
  const { createScorer, onnx, tally } = runtime;
  if (createScorer !== onnx.createScorer) await refused(runtime);
  await otherModule(runtime);
  const opened = () => open(onnx.createScorer, runtime.get, FOLDER);
  for (const check of [folderRecords, folderRoads, folderRows]) await check(await opened(), FOLDER, runtime);
  const scorer = await opened();
  const { margin, expected_margin, features, approximate, record } = scorer.explain(EMPTY, { id: null });
  const sum = features.reduce((sum, feature) => sum + feature.contribution, expected_margin);
  tally.same("contributions add up to the margin", Math.abs(sum - margin) < 1e-4, true);
  tally.same("and say that they are approximate", approximate, true);
  tally.same("the record is the decision's", JSON.stringify(record), again(scorer, record));
}

function again(scorer, { counter }) {
  return scorer.score(EMPTY, { id: null, counter }).record();
}

async function refused({ createScorer, TollgateError, get, tally }) {
  const error = await open(createScorer, get, FOLDER).then(() => undefined, (error) => error);
  tally.same("the lean module's code", error instanceof TollgateError ? error.code : String(error), "INCOMPATIBLE");
  tally.same("and where to go", error?.message.includes("tollgate/onnx"), true);
}

/** Another module in the place of the one for graphs. */
async function otherModule({ onnx, get, tally, compile = (bytes) => WebAssembly.compile(bytes) }) {
  const wasm = await compile(Uint8Array.from(TRAP));
  const createScorer = (options) => onnx.createScorer({ wasm, ...options });
  const code = await open(createScorer, get, FOLDER).then(() => "", (error) => error.code);
  tally.same("another module", code, "WASM");
}
