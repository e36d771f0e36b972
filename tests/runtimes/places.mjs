// Where things lie: sources in the repository, everything made in target/.
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

export const HERE = fileURLToPath(new URL(".", import.meta.url));
export const ROOT = join(HERE, "../..");
export const TARGET = join(ROOT, "target/npm-tests");
/** Runtimes, bundlers, frameworks. */
export const TOOLS = join(TARGET, "tools");
/** What `npm pack` made. */
export const TARBALL = join(ROOT, "target/npm-package/tollgate.tgz");
/** A project with nothing but the tarball installed. */
export const PROJECT = join(TARGET, "project");

/** Imports a package of the tools. */
export async function tool(name) {
  return import(createRequire(join(TOOLS, "package.json")).resolve(name));
}

/** A program of the tools, or undefined where its package did not install. */
export function program(path) {
  const found = join(TOOLS, "node_modules", path);
  return existsSync(found) ? found : undefined;
}
