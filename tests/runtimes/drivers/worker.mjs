// The suites in a Worker: bundled with the condition `workerd`, as wrangler does it.
import * as tollgate from "tollgate";
import * as onnx from "tollgate/onnx";
import trap from "./trap.wasm";
import { run } from "./suite/index.mjs";

export default {
  async fetch(_, env) {
    const get = async (path) => new Uint8Array(await (await env.DATA.fetch(`http://data/data/${path}`)).arrayBuffer());
    return Response.json(await run({ ...tollgate, onnx, compile: () => trap }, get));
  },
};
