// The suites in a page, or in a module worker that it starts; the result goes to the server.
import { suites } from "./suites.mjs";

const report = new URLSearchParams(location.search).get("report");
const send = (results) => fetch(`/report/${report}`, { method: "POST", body: JSON.stringify(results) });
if (report.includes("worker")) {
  const worker = new Worker("worker.mjs", { type: "module" });
  worker.onmessage = ({ data }) => send(data);
  worker.onerror = ({ message }) => send({ error: message ?? "the worker did not start" });
} else {
  suites().then(send, (error) => send({ error: String(error?.stack ?? error), code: error?.code }));
}
