// The same with the module as an asset of the bundler's own.
import wasm from "tollgate/tollgate.wasm";
import { createScorer } from "tollgate/slim";

const get = async (path) => new Uint8Array(await (await fetch(`/data/${path}`)).arrayBuffer());
const { request } = await (await fetch("/data/expected.json")).json();
const [bundle, trust] = [await get("vectors/signup/bundle.tollgate"), await get("vectors/signup/trust.key")];
const scorer = await createScorer({ bundle, trust, wasm: new URL(wasm, import.meta.url) });
const record = scorer.score(request.features, { id: request.decision_id, counter: 1 }).record();
await fetch(`/report/${document.title}`, { method: "POST", body: JSON.stringify({ record }) });
