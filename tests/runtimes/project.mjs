// Empty projects into which the packed package is installed, as a user installs it.
import { execFile } from "node:child_process";
import { mkdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { TARBALL, TOOLS } from "./places.mjs";

const run = promisify(execFile);

/** Makes a project anew; `tools` are packages that it finds among the installed tools. */
export async function install(folder, tools, more = {}) {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const manifest = { name: "project", version: "1.0.0", private: true, type: "module", ...more };
  writeFileSync(join(folder, "package.json"), JSON.stringify(manifest));
  const quiet = ["--no-audit", "--no-fund", "--loglevel=error", "--omit=peer", "--legacy-peer-deps"];
  await run("npm", ["install", ...quiet, TARBALL], { cwd: folder });
  for (const name of tools) {
    mkdirSync(join(folder, "node_modules", name, ".."), { recursive: true });
    symlinkSync(join(TOOLS, "node_modules", name), join(folder, "node_modules", name));
  }
}
