import type { CreateOptions, Scorer } from "./types.js";

export { TollgateError, type Code } from "./errors.js";
export type * from "./types.js";

/**
 * Verifies a signed bundle inside the module and returns what decides with it.
 *
 * @throws TollgateError with the code of the refusal.
 */
export declare function createScorer<F extends object = Record<string, unknown>, C extends string = string>(
  options: CreateOptions,
): Promise<Scorer<F, C>>;
