//! A trace beside what else tells of the same workers.

use std::fs;

use metrics_core::{CallTime, Event, Timestamp, ToolCall, TraceContext};
use serde_json::json;

use super::support::Office;
use crate::{DEFAULT_TRACE_CALLS, JobId, JobRef, SpawnRequest, Trace};

const WORKER: &str = "2025-12-15T04-08-08_make-calls";

impl Office {
    async fn trace(&self, owner: Option<&str>, id: JobId) -> Trace {
        let (tools, job) = (self.supervisor.tools(owner), JobRef::Job(id));
        tools.trace(&job, DEFAULT_TRACE_CALLS).await.unwrap()
    }

    /// A worker whose metadata cannot be read any more; gives its id.
    async fn damaged(&self, owner: &str, trace: Option<TraceContext>) -> String {
        let request = SpawnRequest {
            trace,
            ..SpawnRequest::new("calculate 7*6")
        };
        let id = self.tools(owner).spawn(&request).await.unwrap();
        self.supervisor.idle().await;
        let job = self.supervisor.book().get(id, None).unwrap().unwrap();
        let worker_id = job.worker_id.unwrap().to_string();
        fs::write(self.path(&worker_id, "metadata.json"), "{").unwrap();
        worker_id
    }
}

#[tokio::test]
async fn a_trace_and_the_metrics_tell_the_same_of_a_call() {
    let office = Office::new();
    let id = office.done("make calls").await;
    let start: Timestamp = "2025-12-15T04:08:08Z".parse().unwrap();
    let at_ms = |millis: i64| start.plus_micros(millis * 1000);
    // The clock was set back meanwhile; and the last line has no end.
    let set_back = CallTime::as_written(at_ms(20), at_ms(5), 30);
    let plain = CallTime::as_written(at_ms(50), at_ms(120), 70);
    let lines = [set_back, plain].map(|it| Event::from(ToolCall::new("ssh_exec", it)).to_line());
    fs::write(office.path(WORKER, "metrics.jsonl"), lines.join("\n")).unwrap();
    let metrics = office.call("worker_metrics", json!({"job_id": id})).await;
    for part in [
        "\nTool calls: 2, 100ms in all, slowest 70ms\n",
        "\nTime outside of calls: 25ms\n",
    ] {
        assert!(metrics.contains(part), "{metrics}");
    }
    let trace = office.trace(Some("local"), id).await;
    assert_eq!(trace.calls, 2);
    let spans = trace.roots[0].children.iter();
    let took_ms: Vec<_> = spans.map(|it| it.duration_us.unwrap() / 1000).collect();
    assert_eq!(took_ms, [20, 30, 70]); // The first is a gap.
}

#[tokio::test]
async fn a_trace_tells_of_workers_that_cannot_be_read() {
    let office = Office::new();
    let id = office.done("make calls").await;
    let root = office.metadata(WORKER);
    let child = TraceContext::child_of(root.trace_id.unwrap(), root.span_id.unwrap());
    let within = office.damaged("local", Some(child)).await;
    let perhaps = office.damaged("local", None).await;
    let elsewhere = TraceContext::root();
    let elsewhere = TraceContext::child_of(elsewhere.trace_id, elsewhere.span_id);
    office.damaged("local", Some(elsewhere)).await;
    let bobs = office.damaged("bob", None).await;
    let mut own = vec![within, perhaps];
    let named = |trace: &Trace| {
        let dirs = trace.problems.iter().map(|it| {
            let path = it.split_once("/metadata.json` is damaged").unwrap().0;
            path.rsplit('/').next().unwrap().to_owned()
        });
        let mut dirs: Vec<_> = dirs.collect();
        dirs.sort();
        dirs
    };
    own.sort();
    let trace = office.trace(Some("local"), id).await;
    assert_eq!(named(&trace), own);
    let last = trace.to_string();
    let last = last.lines().last().unwrap();
    assert!(last.starts_with("Warning: `"), "{last}");
    // Bob's is told to who sees all.
    own.push(bobs);
    own.sort();
    assert_eq!(named(&office.trace(None, id).await), own);
}
