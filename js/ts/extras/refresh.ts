// Keeps a scorer's bundle fresh: polls its URL by ETag, verifies, swaps, keeps the last good one.
import { readBytes } from "../bytes.js";
import { TollgateError } from "../errors.js";
import type { Description, ReplaceOptions, Scorer } from "../types.js";

/** A bundle that was verified once, and the ETag it came with. */
export interface Kept {
  readonly etag: string | null;
  readonly bytes: Uint8Array;
}

/** Where the last good bundle is kept. What it gives back is verified again before it serves. */
export interface Store {
  load(): Promise<Kept | undefined>;
  save(kept: Kept): Promise<void>;
}

/** What one look at the URL led to. */
export type Outcome =
  | { readonly kind: "unchanged" }
  | { readonly kind: "replaced"; readonly about: Description }
  | { readonly kind: "refused"; readonly error: unknown };

export interface RefreshOptions {
  /** Where the signed bundle is. */
  readonly url: URL | string;
  /** Where the last good bundle is kept; in memory unless given. */
  readonly store?: Store;
  /** Time from one look to the next, 60,000 unless given. */
  readonly interval_ms?: number;
  /** Time that one look may take, 30,000 unless given. */
  readonly timeout_ms?: number;
  /** Passed to each `replace`: other keys, a digest. */
  readonly replace?: ReplaceOptions;
  readonly fetch?: typeof globalThis.fetch;
  /** Told of each look. */
  readonly onOutcome?: (outcome: Outcome) => void;
}

export interface Refresher {
  /** Looks once. A failure changes nothing: what serves goes on. Never throws. */
  check(): Promise<Outcome>;
  /** Looks again and again until `stop`. */
  start(): void;
  stop(): void;
}

const INTERVAL_MS = 60_000;
const TIMEOUT_MS = 30_000;

/** A refresher for a scorer. On Workers call `check` from a request or a cron trigger. */
export function createRefresher(scorer: Pick<Scorer, "replace">, options: RefreshOptions): Refresher {
  const { store = memoryStore(), interval_ms = INTERVAL_MS, onOutcome } = options;
  let etag: string | null | undefined;
  let running: Promise<Outcome> | undefined;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const look = async (): Promise<Outcome> => {
    try {
      etag ??= (await store.load())?.etag ?? null;
      const fresh = await download(options, etag);
      if (fresh === undefined) return { kind: "unchanged" };
      const about = await scorer.replace(fresh.bytes, options.replace);
      etag = fresh.etag;
      await store.save(fresh);
      return { kind: "replaced", about };
    } catch (error) {
      return { kind: "refused", error };
    }
  };
  const check = (): Promise<Outcome> => {
    running ??= look().then((outcome) => {
      running = undefined;
      onOutcome?.(outcome);
      return outcome;
    });
    return running;
  };
  const stop = (): void => {
    clearTimeout(timer);
    timer = undefined;
  };
  const later = (): void => {
    const next = setTimeout(() => void check().then(() => timer === next && later()), interval_ms);
    timer = next;
    // A process that has nothing else to do may end.
    if (typeof next === "object" && "unref" in next) (next as { unref(): void }).unref();
  };
  return { check, start: () => timer ?? later(), stop };
}

/**
 * The bundle to start with: from the URL, or the last good one where the URL does not answer.
 *
 * @throws TollgateError `FETCH` when there is neither.
 */
export async function firstBundle(options: RefreshOptions): Promise<Uint8Array> {
  const { store } = options;
  try {
    const fresh = await download(options, null);
    if (fresh !== undefined) return fresh.bytes;
  } catch (error) {
    const kept = await store?.load();
    if (kept === undefined) throw error;
    return kept.bytes;
  }
  throw new TollgateError("FETCH", `${String(options.url)}: not modified, though nothing was named`);
}

/** The bundle, or undefined when it is the one with this ETag. */
async function download(options: RefreshOptions, etag: string | null): Promise<Kept | undefined> {
  const { url, timeout_ms = TIMEOUT_MS, fetch = globalThis.fetch } = options;
  const headers: Record<string, string> = etag === null ? {} : { "if-none-match": etag };
  const response = await fetch(url, { headers, signal: AbortSignal.timeout(timeout_ms) });
  if (response.status === 304) return undefined;
  return { etag: response.headers.get("etag"), bytes: await readBytes(response) };
}

/** Keeps the last good bundle as long as this process lives. */
export function memoryStore(): Store {
  let last: Kept | undefined;
  return {
    load: () => Promise.resolve(last),
    save: (kept) => {
      last = kept;
      return Promise.resolve();
    },
  };
}

/** Keeps it in the Cache API, as on Workers and in browsers. */
export function cacheStore(cache: Pick<Cache, "match" | "put">, key: string): Store {
  return {
    load: async () => {
      const response = await cache.match(key);
      return response && { etag: response.headers.get(ETAG), bytes: await readBytes(response) };
    },
    save: ({ etag, bytes }) => {
      const headers: Record<string, string> = { "cache-control": "max-age=31536000" };
      if (etag !== null) headers[ETAG] = etag;
      return cache.put(key, new Response(new Uint8Array(bytes), { headers }));
    },
  };
}

/** A header of our own: caches act on the usual one. */
const ETAG = "x-tollgate-etag";

/** What we need of a KV namespace of Workers. */
export interface KvNamespace {
  getWithMetadata<M>(key: string, type: "arrayBuffer"): Promise<{ value: ArrayBuffer | null; metadata: M | null }>;
  put(key: string, value: ArrayBuffer, options: { metadata: unknown }): Promise<void>;
}

/** Keeps it in a KV namespace. */
export function kvStore(namespace: KvNamespace, key: string): Store {
  return {
    load: async () => {
      const { value, metadata } = await namespace.getWithMetadata<{ etag: string | null }>(key, "arrayBuffer");
      return value === null ? undefined : { etag: metadata?.etag ?? null, bytes: new Uint8Array(value) };
    },
    save: ({ etag, bytes }) => namespace.put(key, new Uint8Array(bytes).buffer, { metadata: { etag } }),
  };
}
