// The smallest page that decides: its record goes to the server, which knows what it must be.
import { createScorer } from "tollgate";

const get = async (path) => new Uint8Array(await (await fetch(`/data/${path}`)).arrayBuffer());
const { request } = await (await fetch("/data/expected.json")).json();
const [bundle, trust] = [await get("vectors/signup/bundle.tollgate"), await get("vectors/signup/trust.key")];
const scorer = await createScorer({ bundle, trust });
const record = scorer.score(request.features, { id: request.decision_id, counter: 1 }).record();
await fetch(`/report/${document.title}`, { method: "POST", body: JSON.stringify({ record }) });
