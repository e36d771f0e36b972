// For handlers of `Request` and `Response`: Workers, Deno, Bun, Next.
import type { Decision, Scorer, ScoreOptions } from "../types.js";

export interface GuardOptions<F extends object, Input> {
  /** The scorer, or where it comes from; asked for at each request. */
  readonly scorer: Scorer<F> | ((input: Input) => Scorer<F> | Promise<Scorer<F>>);
  /** The feature values of a request. */
  readonly features: (input: Input) => F | Promise<F>;
  /** Id, time, context and states; without it, the time of the request. */
  readonly options?: (input: Input) => ScoreOptions<F>;
  /** Told of each decision: log its record here. */
  readonly onDecision?: (decision: Decision, input: Input) => void | Promise<void>;
}

/** Decides for a request. */
export async function decide<F extends object, Input>(
  guard: GuardOptions<F, Input>,
  input: Input,
): Promise<Decision> {
  const scorer = typeof guard.scorer === "function" ? await guard.scorer(input) : guard.scorer;
  const options: ScoreOptions<F> = guard.options?.(input) ?? { now: Date.now() };
  const decision = scorer.score(await guard.features(input), options);
  await guard.onDecision?.(decision, input);
  return decision;
}

/** What a client may know of a decision: the action, the id, and the codes of the reasons. */
export function publicView(decision: Decision): { action: string; id: string | null; reasons: readonly string[] } {
  const { action, decision_id, reasons } = decision.toJSON();
  return { action, id: decision_id, reasons: reasons.map((reason) => reason.code) };
}

/** 200 for allow, 401 for challenge, 403 for block. */
export const STATUS = { allow: 200, challenge: 401, block: 403 } as const;

/** The answer to a request that is not simply allowed; undefined where it is. */
export function refusal(decision: Decision): Response | undefined {
  if (decision.action === "allow") return undefined;
  return Response.json(publicView(decision), { status: STATUS[decision.action] });
}

/** `const refused = await guard(request); if (refused) return refused;` */
export function guard<F extends object>(
  options: GuardOptions<F, Request>,
): (request: Request) => Promise<Response | undefined> {
  return async (request) => refusal(await decide(options, request));
}
