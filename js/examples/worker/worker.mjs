// A Worker that decides about signups: allow, a challenge page, or a refusal with reasons.
import { createScorer } from "tollgate";
import { decide, publicView } from "tollgate/fetch";
import bundle from "./signup.tollgate";
import trust from "./signup.pub.txt";

// Once an isolate; at the first request, because nothing is random at the global scope.
let scorer;

const guard = {
  scorer: () => (scorer ??= createScorer({ bundle, trust })),
  features: async (request) => (await request.clone().json().catch(() => undefined))?.features,
  options: (request) => ({
    now: Date.now(),
    correlationId: request.headers.get("cf-ray"),
    // What Cloudflare knows of the request outranks what the browser says of itself.
    ...(request.cf?.country === "T1" && { context: { is_tor: true } }),
  }),
  // The record holds everything: send it to your log, not to the browser.
  onDecision: (decision) => console.log(decision.record()),
};

export default {
  async fetch(request) {
    const { pathname } = new URL(request.url);
    if (request.method !== "POST" || pathname !== "/signup") return new Response("POST /signup\n", { status: 404 });
    const decision = await decide(guard, request);
    const view = publicView(decision);
    if (decision.action === "allow") return Response.json(view);
    if (decision.action === "block") return Response.json(view, { status: 403 });
    return new Response(challenge(view.id), { status: 401, headers: PAGE });
  },
};

const PAGE = {
  "content-type": "text/html; charset=utf-8",
  "content-security-policy": "default-src 'none'; form-action 'self'",
};

/** The id is ours and hexadecimal, so it needs no escaping. */
function challenge(id) {
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>One more step</title>
<h1>One more step</h1>
<p>We have sent you a code. Enter it to finish your signup.</p>
<form method="post" action="/challenge">
  <input type="hidden" name="decision" value="${id}">
  <label>Code <input name="code" inputmode="numeric" autocomplete="one-time-code" required></label>
  <button>Continue</button>
</form>
</html>
`;
}
