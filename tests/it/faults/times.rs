//! Clocks that jump: what took so long took so long, and no two workers are one.

use std::{collections::BTreeSet, time::Duration};

use artifact_store::{Status, WorkerFilter};
use metrics_collector::{llm_call, tool_call};
use metrics_core::{ManualClock, Timestamp};

use crate::support::{Lab, LabOptions, agent};

/// Where the wall clock is set to while a call runs that takes 1.5 s.
fn jumps() -> [(&'static str, Timestamp); 8] {
    let at = |text: &str| text.parse().unwrap();
    [
        ("an hour back", at("2025-12-15T03:08:08.123456Z")),
        ("a day forward", at("2025-12-16T04:08:08.123456Z")),
        ("before 1970", at("1969-12-31T23:59:59.999999Z")),
        ("long before", at("0001-01-01T00:00:00Z")),
        ("at the beginning of all stamps", Timestamp::MIN),
        ("before the year 10000", at("9999-12-31T23:59:59.400000Z")),
        ("at the end of all stamps", Timestamp::MAX),
        ("home", at("2025-12-15T04:08:08.123456Z")),
    ]
}

#[tokio::test]
async fn a_clock_that_jumps_while_calls_run_changes_no_duration_and_no_order() {
    let clock = ManualClock::at("2025-12-15T04:08:08.123456Z".parse().unwrap());
    let for_agent = clock.clone();
    let jumping = agent(move |_, _| {
        let clock = for_agent.clone();
        async move {
            for (_, wall) in jumps() {
                let call = async {
                    clock.advance(Duration::from_micros(700_400));
                    clock.set_wall(wall);
                    clock.advance(Duration::from_micros(800_500));
                    Ok::<_, String>(())
                };
                let _ = tool_call("jump", llm_call("initial", "model", call)).await;
            }
            Ok(())
        }
    });
    let lab = Lab::with(LabOptions {
        clock: clock.clock(),
        agent: Some(std::sync::Arc::new(jumping)),
        ..LabOptions::default()
    });
    let n_jumps = jumps().len();
    let mut ids = BTreeSet::new();
    for (name, wall) in jumps() {
        clock.set_wall(wall);
        let job = lab.run_job("jump").await;
        let metadata = lab.metadata(job).await;
        assert_eq!(metadata.status, Status::Success, "{name}");
        assert!(ids.insert(metadata.worker_id.clone()), "{name}");
        // 8 jumps of 1.5009 s.
        assert_eq!(metadata.duration_ms, Some(12_007), "{name}");
        let (started, finished) = (metadata.started_at.unwrap(), metadata.finished_at.unwrap());
        assert!(started <= finished, "{name}: {started} {finished}");

        let file = lab.metrics(&metadata.worker_id);
        assert_eq!(file.events.len(), 2 * n_jumps);
        for event in &file.events {
            let time = event.time();
            assert_eq!(time.duration_ms(), 1500, "{name}");
            let micros = time.end_ts().unix_micros() - time.start_ts().unix_micros();
            assert_eq!(micros, 1_500_900, "{name}: {event:?}");
        }
        let durations = lab
            .log()
            .calls(Some(metadata.worker_id.as_str()))
            .iter()
            .map(|it| it.get("duration_ms").unwrap().to_owned())
            .collect::<Vec<_>>();
        assert_eq!(durations, vec!["1500"; 2 * n_jumps], "{name}");
        let result = lab.read_result(job).await;
        assert!(
            result.contains("\nExecution time: 12007ms (12.0s)\n"),
            "{name}: {result}"
        );
    }
    let list = lab.store().list(&WorkerFilter::default()).unwrap();
    assert!(list.problems.is_empty(), "{:?}", list.problems);
    assert_eq!(list.workers.len(), n_jumps);
    let made: Vec<_> = list.workers.iter().map(|it| it.created_at).collect();
    assert!(made.is_sorted_by(|one, other| one >= other), "{made:?}");
    let rows = lab
        .supervisor()
        .rows(supervisor_tools::RowFilter::default())
        .await
        .unwrap();
    assert_eq!(rows.rows.len(), n_jumps);
}
