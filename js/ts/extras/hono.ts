// Middleware for Hono. The decision is `c.get("tollgate")`.
import type { Decision } from "../types.js";
import { type GuardOptions, decide, refusal } from "./fetch.js";

/** What we need of Hono's context. */
export interface HonoContext {
  set(key: "tollgate", value: Decision): void;
}

export interface HonoOptions<F extends object, C extends HonoContext> extends GuardOptions<F, C> {
  /** The answer to what is not simply allowed; undefined lets it pass. Refuses unless given. */
  readonly answer?: (decision: Decision, context: C) => Response | undefined | Promise<Response | undefined>;
}

/** Decides for each request; `next` follows where nothing is answered. */
export function tollgate<F extends object, C extends HonoContext>(
  options: HonoOptions<F, C>,
): (context: C, next: () => Promise<void>) => Promise<Response | undefined> {
  return async (context, next) => {
    const decision = await decide(options, context);
    context.set("tollgate", decision);
    const answer = options.answer === undefined ? refusal(decision) : await options.answer(decision, context);
    if (answer === undefined) await next();
    return answer;
  };
}
