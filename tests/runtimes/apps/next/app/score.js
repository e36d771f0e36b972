import { createScorer } from "tollgate";

/** The record of the one request, made wherever this runs. */
export async function answer(request) {
  const bundle = new URL("/signup.tollgate", request.url);
  const scorer = await createScorer({ bundle, trust: process.env.NEXT_PUBLIC_TRUST });
  const features = JSON.parse(process.env.NEXT_PUBLIC_FEATURES);
  return new Response(scorer.score(features, { id: process.env.NEXT_PUBLIC_ID, counter: 1 }).record());
}
