// Two hooks: a scorer, and a decision that follows the features.
import { useEffect, useMemo, useState } from "react";
import type { CreateOptions, Decision, ScoreOptions, Scorer } from "../types.js";

export interface ScorerState<F extends object> {
  readonly scorer: Scorer<F> | undefined;
  readonly error: unknown;
}

/** Makes a scorer once, by `createScorer` of the entry that the page uses. */
export function useScorer<F extends object = Record<string, unknown>>(
  createScorer: (options: CreateOptions) => Promise<Scorer<F>>,
  options: CreateOptions,
): ScorerState<F> {
  const [state, setState] = useState<ScorerState<F>>({ scorer: undefined, error: undefined });
  useEffect(() => {
    let gone = false;
    let made: Scorer<F> | undefined;
    createScorer(options).then(
      (scorer) => {
        made = scorer;
        if (gone) scorer.dispose();
        else setState({ scorer, error: undefined });
      },
      (error: unknown) => gone || setState({ scorer: undefined, error }),
    );
    return () => {
      gone = true;
      made?.dispose();
    };
    // Options are read once: to change the bundle, call `replace`.
  }, []);
  return state;
}

/** The decision for these features; undefined while there is no scorer. */
export function useDecision<F extends object>(
  scorer: Scorer<F> | undefined,
  features: F,
  options?: ScoreOptions<F>,
): Decision | undefined {
  const key = JSON.stringify([features, options]);
  return useMemo(() => scorer?.score(features, options), [scorer, key]);
}
