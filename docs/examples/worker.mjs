// A worker in Node: triscope exec -- node worker.mjs
import { appendFileSync } from "node:fs";
// Runs a call and appends its event.
async function timed(event, call) {
  const start = new Date(), began = performance.now();
  const answer = await call();
  const took = performance.now() - began, end = new Date(start.getTime() + took);
  const times = { start_ts: start.toISOString(), end_ts: end.toISOString(), duration_ms: Math.floor(took) };
  const file = process.env.TRISCOPE_METRICS_FILE; // Not set: not run by triscope.
  if (file) appendFileSync(file, JSON.stringify({ ...event, ...times, ...answer.event }) + "\n"); // One line, one write.
  return answer;
}

await timed({ event: "llm_call", phase: "initial", model: "my-model" }, async () => {
  return { text: "use the calculator", event: { prompt_tokens: 120, completion_tokens: 8 } }; // Ask your model here.
});
const { value } = await timed({ event: "tool_call", tool: "calculate" }, async () => {
  return { value: 7 * 6, event: { success: true } }; // Call your tool here.
});
console.log(`The result is ${value}.`);
