declare module "*.wasm" {
  const module: WebAssembly.Module;
  export default module;
}

declare module "*.wasm?module" {
  const module: WebAssembly.Module;
  export default module;
}

/** What we need of Node: the package depends on no types of its. */
declare module "node:fs/promises" {
  export function readFile(path: URL): Promise<Uint8Array>;
}
