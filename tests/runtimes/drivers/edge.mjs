// The suites in an edge function: bundled with the condition `edge-light`.
import * as tollgate from "tollgate";
import * as onnx from "tollgate/onnx";
import { run } from "./suite/index.mjs";

const get = async (path) => new Uint8Array(await (await fetch(`${globalThis.BASE_URL}/data/${path}`)).arrayBuffer());
globalThis.RESULTS = run({ ...tollgate, onnx, compile: () => globalThis.TRAP_MODULE }, get);
