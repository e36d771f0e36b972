// The lean module, through the glue that wasm-bindgen made of `js/src/lib.rs`.
import type { Guest, Started } from "./guest.js";
import { createGlue } from "../pkg/glue.js";

/** The glue of one instance; `initSync` makes the instance. */
export interface Glue extends Guest {
  initSync(options: { module: WebAssembly.Module }): { readonly memory: WebAssembly.Memory };
}

/** Starts the lean module. */
export function startLean(module: WebAssembly.Module): Started {
  // Edge sandboxes hand over a module of another realm; the glue asks for its class.
  if (!(module instanceof WebAssembly.Module)) Object.setPrototypeOf(module, WebAssembly.Module.prototype);
  const guest = createGlue();
  return { guest, memory: guest.initSync({ module }).memory };
}
