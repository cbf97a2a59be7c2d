"""A worker in Python: triscope exec -- python3 worker.py"""
import json, os, time
from datetime import datetime, timedelta, timezone
def record(start, began, **event):
    """Appends one event of a call that took from `start` (and `began` on the monotonic clock) until now."""
    took = timedelta(seconds=time.monotonic() - began)
    stamp = lambda it: it.isoformat(timespec="microseconds").replace("+00:00", "Z")
    event |= {"start_ts": stamp(start), "end_ts": stamp(start + took), "duration_ms": took // timedelta(milliseconds=1)}
    if path := os.environ.get("TRISCOPE_METRICS_FILE"):  # Not set: not run by triscope.
        with open(path, "a") as file:
            file.write(json.dumps(event) + "\n")  # One line, one write.

start, began = datetime.now(timezone.utc), time.monotonic()
reply = {"text": "use the calculator", "prompt": 120, "completion": 8}  # Ask your model here.
record(start, began, event="llm_call", phase="initial", model="my-model",
       prompt_tokens=reply["prompt"], completion_tokens=reply["completion"])
start, began = datetime.now(timezone.utc), time.monotonic()
answer = 7 * 6  # Call your tool here.
record(start, began, event="tool_call", tool="calculate", success=True)
print(f"The result is {answer}.")
