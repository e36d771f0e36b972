import { dirname } from "node:path";
import { fileURLToPath } from "node:url";

// The tools lie beside this project, so that its root is the folder above.
const root = dirname(dirname(fileURLToPath(import.meta.url)));

export default { turbopack: { root }, outputFileTracingRoot: root };
