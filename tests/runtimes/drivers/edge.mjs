// The suites in an edge function: bundled with the condition `edge-light`.
import * as tollgate from "tollgate";
import { run } from "./suite/index.mjs";

const get = async (path) => new Uint8Array(await (await fetch(`${globalThis.BASE_URL}/data/${path}`)).arrayBuffer());
globalThis.RESULTS = run({ ...tollgate, compile: () => globalThis.TRAP_MODULE }, get);
