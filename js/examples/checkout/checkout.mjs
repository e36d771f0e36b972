// Scores the checkout as the shopper types, inside the page.
import { createScorer } from "./tollgate/browser.js";
import { featuresOf } from "./features.mjs";

const TIMED = 200;
const LABELS = { allow: "Allow", challenge: "Challenge", block: "Block", none: "–" };
const $ = (id) => document.getElementById(id);

const behaviour = { began: undefined, pasted: 0 };
const form = $("form");
const scorer = await start();
if (scorer !== undefined) {
  form.addEventListener("input", update);
  form.addEventListener("paste", () => behaviour.pasted++);
  form.addEventListener("submit", submit);
  update();
}

async function start() {
  try {
    const trust = await (await fetch("signup.pub")).text();
    return await createScorer({ bundle: new URL("signup.tollgate", location.href), trust });
  } catch (error) {
    $("action").textContent = "unavailable";
    $("said").textContent = `The order goes on without a score: ${error.message}`;
    return undefined;
  }
}

function current() {
  behaviour.began ??= performance.now();
  const now = new Date();
  const typed = { name: $("name").value.trim(), email: $("email").value.trim(), phone: $("phone").value, network: form.elements.network.value };
  const seconds = Math.min(3600, (performance.now() - behaviour.began) / 1000);
  return featuresOf(typed, { seconds, pasted: Math.min(5, behaviour.pasted), hour: now.getHours(), weekday: (now.getDay() + 6) % 7 });
}

function update() {
  $("said").textContent = "";
  const features = current();
  const decision = scorer.score(features);
  show(decision, scorer.explain(features));
  $("latency").textContent = `${timed(features).toFixed(1)} µs`;
}

/** Microseconds a decision: browsers round their clocks, so many are timed together. */
function timed(features) {
  const began = performance.now();
  for (let time = 0; time < TIMED; time++) scorer.score(features);
  return ((performance.now() - began) * 1000) / TIMED;
}

function show(decision, explanation) {
  const { cutoffs } = explanation.record;
  $("risk").dataset.action = decision.action;
  $("action").textContent = LABELS[decision.action];
  $("probability").textContent = decision.probability === null ? "not scored" : `${(100 * decision.probability).toFixed(1)} %`;
  $("fill").style.width = `${100 * (decision.probability ?? 0)}%`;
  $("cut-challenge").style.left = `${100 * cutoffs.challenge}%`;
  $("cut-block").style.left = `${100 * cutoffs.block}%`;
  $("stand-ins").textContent = String(decision.standIns);
  $("reasons").replaceChildren(...bars(explanation.reasons));
}

/** A bar a reason, the strongest as wide as the list. */
function bars(reasons) {
  if (reasons.length === 0) return [element("li", "Nothing speaks against this order.", "none")];
  const most = Math.max(...reasons.map((reason) => reason.contribution ?? 0)) || 1;
  return reasons.map((reason) => {
    const item = element("li", "");
    const bar = element("div", "");
    bar.style.width = `${(100 * (reason.contribution ?? most)) / most}%`;
    const strength = reason.contribution === null ? "rule" : `+${reason.contribution.toFixed(2)}`;
    item.append(element("b", reason.text?.en ?? readable(reason.code)), element("span", strength), bar);
    return item;
  });
}

/** A code that the bundle has no text for. */
function readable(code) {
  const missing = code.startsWith("INSUFFICIENT_DATA_");
  const words = code.replace("INSUFFICIENT_DATA_", "").replaceAll("_", " ").toLowerCase();
  return missing ? `Not enough data: ${words}` : words.charAt(0).toUpperCase() + words.slice(1);
}

function element(name, text, className = "") {
  const made = document.createElement(name);
  made.textContent = text;
  made.className = className;
  return made;
}

function submit(event) {
  event.preventDefault();
  const { action } = scorer.score(current());
  const answers = { allow: "Thank you, your order is placed.", challenge: "Almost there: we have sent you a code.", block: "We cannot take this order online. Please call us." };
  $("said").textContent = answers[action];
}
