import { TollgateError } from "./errors.js";
import type { BytesSource, Trust, WasmSource } from "./types.js";

/** Bytes of the largest bundle, as in the core's limits. */
const BUNDLE_BYTES = 64 << 20;
const KEY_BYTES = 32;
/** What precedes the key in the DER form of an Ed25519 public key. */
const SPKI_PREFIX = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/** Reads a source to its end, but no further than any bundle may be. */
export async function readBytes(source: BytesSource, signal?: AbortSignal): Promise<Uint8Array> {
  // By shape and not by class: realms and test runners each have classes of their own.
  if (ArrayBuffer.isView(source)) return source;
  if (kindOf(source) === "ArrayBuffer") return new Uint8Array(source as ArrayBuffer);
  const response = kindOf(source) === "Response" ? (source as Response) : await request(source as URL, signal);
  if (!response.ok) throw new TollgateError("FETCH", `${response.url || "bundle"}: status ${response.status}`);
  return drain(response);
}

/** The name that an object of the platform goes by in every realm. */
function kindOf(value: unknown): string {
  return Object.prototype.toString.call(value).slice(8, -1);
}

async function request(url: URL | string, signal?: AbortSignal): Promise<Response> {
  try {
    return await fetch(url, signal ? { signal } : {});
  } catch (cause) {
    signal?.throwIfAborted();
    throw new TollgateError("FETCH", `${String(url)}: could not be fetched`, { cause });
  }
}

async function drain(response: Response): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  const reader = response.body?.getReader();
  for (let read = await reader?.read(); read?.value; read = await reader?.read()) {
    length += read.value.length;
    if (length > BUNDLE_BYTES) {
      await reader?.cancel();
      throw new TollgateError("LIMIT", "larger than any bundle may be");
    }
    chunks.push(read.value);
  }
  const bytes = new Uint8Array(length);
  let at = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, at);
    at += chunk.length;
  }
  return bytes;
}

/** Compiles a module, while it loads where runtime and server can. */
export async function compile(source: WasmSource, signal?: AbortSignal): Promise<WebAssembly.Module> {
  if (kindOf(source) === "WebAssembly.Module") return source as WebAssembly.Module;
  try {
    const fetched = typeof source === "string" || kindOf(source) === "URL";
    const loaded = fetched ? await request(source as URL, signal) : (source as BytesSource);
    const streams = kindOf(loaded) === "Response" && isWasm(loaded as Response);
    if (streams) return await WebAssembly.compileStreaming(loaded as Response);
    return await WebAssembly.compile(new Uint8Array(await readBytes(loaded, signal)));
  } catch (cause) {
    signal?.throwIfAborted();
    if (cause instanceof TollgateError) throw cause;
    throw new TollgateError("WASM", `the module does not compile: ${String(cause)}`, { cause });
  }
}

function isWasm(response: Response): boolean {
  return response.ok && (response.headers.get("content-type") ?? "").startsWith("application/wasm");
}

/** The raw keys, one behind the other. */
export function keysOf(trust: Trust): Uint8Array {
  const listed = typeof trust === "string" || ArrayBuffer.isView(trust) ? [trust] : [...trust];
  const keys = listed.flatMap((entry) => (typeof entry === "string" ? fromPem(entry) : [entry]));
  const joined = new Uint8Array(keys.reduce((length, key) => length + key.length, 0));
  let at = 0;
  for (const key of keys) {
    joined.set(key, at);
    at += key.length;
  }
  if (joined.length === 0 || joined.length % KEY_BYTES !== 0) {
    throw new TollgateError("TRUST", "trust: expected the text of a .pub file, or 32 bytes a key");
  }
  return joined;
}

/** Each key of a PEM text, as `tollgate keys new` and OpenSSL write it. */
function fromPem(text: string): Uint8Array[] {
  const blocks = text.matchAll(/-----BEGIN PUBLIC KEY-----([\sA-Za-z0-9+/=]+)-----END PUBLIC KEY-----/g);
  return Array.from(blocks, ([, body = ""]) => {
    const der = fromBase64(body.replace(/\s/g, ""));
    if (der.length !== SPKI_PREFIX.length + KEY_BYTES || SPKI_PREFIX.some((byte, at) => der[at] !== byte)) {
      throw new TollgateError("TRUST", "trust: not an Ed25519 public key in PEM");
    }
    return der.subarray(SPKI_PREFIX.length);
  });
}

/** Decodes base64. */
export function fromBase64(text: string): Uint8Array {
  try {
    return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  } catch (cause) {
    throw new TollgateError("TRUST", "trust: not base64", { cause });
  }
}

/** The 32 bytes of a digest that stands there as 64 hexadecimal digits. */
export function digestOf(hex: string): Uint8Array {
  if (!/^[0-9a-fA-F]{64}$/.test(hex)) {
    throw new TollgateError("MISUSE", "digest: expected 64 hexadecimal digits");
  }
  return Uint8Array.from({ length: 32 }, (_, at) => Number.parseInt(hex.slice(2 * at, 2 * at + 2), 16));
}
