// Chromium, from the system or from npm.
import { execFileSync } from "node:child_process";
import { program, tool } from "./places.mjs";

/** CI is root in a container: no sandbox, and little shared memory. */
const ARGUMENTS = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"];

/** A running Chromium, or the reason why there is none. */
export async function launch() {
  if (program("playwright-core") === undefined) return "the npm package playwright-core is not installed";
  const { chromium } = (await tool("playwright-core")).default;
  const system = ["chromium", "chromium-browser", "google-chrome"].find(isThere);
  if (system !== undefined) return chromium.launch({ executablePath: system, args: ARGUMENTS });
  if (program("@sparticuz/chromium") === undefined) return "neither a chromium nor the npm package @sparticuz/chromium";
  const packed = (await tool("@sparticuz/chromium")).default;
  return chromium.launch({ executablePath: await packed.executablePath(), args: ARGUMENTS });
}

function isThere(name) {
  try {
    execFileSync(name, ["--version"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}
