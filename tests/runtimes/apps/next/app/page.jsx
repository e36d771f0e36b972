"use client";

import { createScorer } from "tollgate";
import { useDecision, useScorer } from "tollgate/react";

const OPTIONS = { bundle: "/signup.tollgate", trust: process.env.NEXT_PUBLIC_TRUST };
const FEATURES = JSON.parse(process.env.NEXT_PUBLIC_FEATURES);
const EVENT = { id: process.env.NEXT_PUBLIC_ID, counter: 1 };

export default function Page() {
  const { scorer, error } = useScorer(createScorer, OPTIONS);
  const decision = useDecision(scorer, FEATURES, EVENT);
  return <pre id="record">{error ? String(error) : decision?.record()}</pre>;
}
