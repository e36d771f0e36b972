import { suites } from "./suites.mjs";

suites().then(postMessage, (error) => postMessage({ error: String(error?.stack ?? error), code: error?.code }));
