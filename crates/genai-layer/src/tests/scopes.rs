//! Whose a call is.

use std::thread;

use tracing::{Instrument as _, info_span};

use super::{Worker, answer, chat, tool, watch};

#[test]
fn a_call_belongs_to_the_scope_that_its_span_was_created_in() {
    let (_watch, one, other) = (watch(), Worker::new("one"), Worker::new("other"));
    let span = one.within(|| chat!("m"));
    thread::scope(|scope| {
        scope.spawn(|| {
            other.within(|| {
                span.in_scope(|| answer(&span));
                one.pass_ms(3);
                drop(span);
            });
        });
    });
    assert_eq!(one.seen(), ["m 3ms"]);
    assert!(other.events().is_empty());
}

#[test]
fn outside_a_scope_nothing_is_recorded() {
    let (_watch, worker) = (watch(), Worker::new("w"));
    let span = chat!("m").entered();
    worker.within(|| answer(&span));
    tracing::info!(gen_ai.operation.name = "chat", gen_ai.request.model = "m");
    drop(tool!("t"));
    drop(span);
    assert!(worker.events().is_empty());
}

#[tokio::test]
async fn a_task_spawned_with_its_parents_span_belongs_to_its_parents_worker() {
    let (_watch, worker) = (watch(), Worker::new("w"));
    let task = worker.within(|| {
        let agent = info_span!("a", gen_ai.operation.name = "invoke_agent");
        tokio::spawn(
            async {
                answer(&chat!("m"));
                tracing::info!(
                    gen_ai.operation.name = "execute_tool",
                    gen_ai.tool.name = "t"
                );
            }
            .instrument(agent),
        )
    });
    task.await.unwrap();
    assert_eq!(worker.seen(), ["m 0ms", "t 0ms"]);
}

#[test]
fn workers_side_by_side_see_only_their_own_calls() {
    let (_watch, workers) = (watch(), ["a", "b", "c"].map(Worker::new));
    let spans = workers
        .each_ref()
        .map(|it| it.within(|| chat!(it.id.as_str())));
    for span in &spans {
        answer(span);
    }
    drop(spans);
    for worker in &workers {
        assert_eq!(worker.seen(), [format!("{} 0ms", worker.id)]);
    }
}
