// Middleware for Express. The decision is `response.locals.tollgate`.
import type { Decision } from "../types.js";
import { type GuardOptions, STATUS, decide, publicView } from "./fetch.js";

/** What we need of Express's response. */
export interface ExpressResponse {
  readonly locals: Record<string, unknown>;
  status(code: number): { json(body: unknown): unknown };
}

export interface ExpressOptions<F extends object, Q, S extends ExpressResponse> extends GuardOptions<F, Q> {
  /** Answers what is not simply allowed, and says so by true. Refuses unless given. */
  readonly answer?: (decision: Decision, request: Q, response: S) => boolean;
}

/** Decides for each request; `next` follows where nothing is answered. */
export function tollgate<F extends object, Q, S extends ExpressResponse>(
  options: ExpressOptions<F, Q, S>,
): (request: Q, response: S, next: (error?: unknown) => void) => void {
  const refuse = (decision: Decision, _: Q, response: S): boolean => {
    if (decision.action === "allow") return false;
    response.status(STATUS[decision.action]).json(publicView(decision));
    return true;
  };
  return (request, response, next) => {
    decide(options, request).then((decision) => {
      response.locals.tollgate = decision;
      if (!(options.answer ?? refuse)(decision, request, response)) next();
    }, next);
  };
}
