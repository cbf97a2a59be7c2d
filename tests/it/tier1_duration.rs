//! Tier 1: what a supervisor reads of a worker's time, and of how it ended.

use std::{fs, sync::Arc, time::Duration};

use artifact_store::{DEFAULT_OWNER, EVENTS_LOST_REASON, NewWorker, Status};
use metrics_collector::{current_worker_id, tool_call};
use metrics_core::{DurationText, ManualClock, Timestamp};
use offline_model::OfflineModel;
use serde_json::json;
use supervisor_tools::SpawnRequest;
use tokio::sync::Notify;
use worker_runner::{Agent, AgentError, Message, ReactAgent, Role, RunOptions, WorkerRunner};
use worker_tools::builtin_tools;

use crate::support::{Lab, LabOptions, agent, eventually_async, finish, triscope};

/// The seed's example, to the letter.
const SEED_EXAMPLE: &str = "\
Result from worker job 123 (worker 2025-12-15T04-08-08_calculate-7-6):

Execution time: 98ms

The result is 42.";

fn seed_clock() -> ManualClock {
    let start: Timestamp = "2025-12-15T04:08:08.123456Z".parse().unwrap();
    ManualClock::at(start)
}

/// A lab whose workers take exactly `duration` and answer `The result is 42.`
fn lab_taking(duration: Duration) -> Lab {
    let clock = seed_clock();
    Lab::with(LabOptions {
        clock: clock.clock(),
        agent: Some(Arc::new(agent(move |_, context| {
            let clock = clock.clone();
            async move {
                clock.advance(duration);
                context.say(Message::text(Role::Assistant, "The result is 42."));
                Ok(())
            }
        }))),
        ..LabOptions::default()
    })
}

#[tokio::test]
async fn read_worker_result_includes_duration() {
    let lab = Lab::new();
    let job = lab.run_job("calculate 7*6").await;
    let answer = lab.read_result(job).await;

    let metadata = lab.metadata(job).await;
    let duration = Duration::from_micros(metadata.duration_us.unwrap());
    let expected = format!(
        "Result from worker job {job} (worker {}):\n\nExecution time: {}\nUsage: 2 LLM calls; 1 tool call\n\nThe result is 42.",
        metadata.worker_id,
        DurationText(duration)
    );
    assert_eq!(answer, expected);
    let (_, time) = answer.split_once("Execution time: ").unwrap();
    let (millis, _) = time.split_once("ms").unwrap();
    assert!(millis.parse::<f64>().unwrap() > 0.0, "{answer}");

    // The time is the worker's own: no call of its agent took longer.
    let agents = lab.metrics(&metadata.worker_id);
    let longest = agents.durations_ms().into_iter().max();
    assert!(longest <= metadata.duration_ms, "{answer}\n{}", agents.text);
    assert_eq!(
        metadata.duration_ms.map(u128::from),
        Some(duration.as_millis())
    );
}

#[tokio::test]
async fn the_seeds_example_is_printed_to_the_letter() {
    let clock = seed_clock();
    let files = tempfile::tempdir().unwrap();
    let calculator = Arc::new(ReactAgent::new(
        Arc::new(OfflineModel::new()),
        builtin_tools(files.path().to_owned()),
    ));
    // An earlier life of the data directory gave out the numbers up to 122.
    let lab = Lab::with_store(
        LabOptions {
            clock: clock.clock(),
            agent: Some(Arc::new(agent(move |task, context| {
                let (clock, calculator) = (clock.clone(), Arc::clone(&calculator));
                async move {
                    clock.advance(Duration::from_millis(98));
                    calculator.run(&task, &context).await
                }
            }))),
            ..LabOptions::default()
        },
        |store| {
            let earlier = NewWorker {
                job_id: Some(122),
                ..NewWorker::new("an earlier task")
            };
            drop(store.create_worker(earlier).unwrap());
        },
    );
    let job = lab.run_job("calculate 7*6").await;
    let arguments = json!({"job_id": job});
    let without_line = lab.supervisor().clone().usage_line(false);
    let bare = without_line.tools(Some(DEFAULT_OWNER));
    assert_eq!(
        bare.call("read_worker_result", &arguments).await,
        SEED_EXAMPLE
    );
    // Unless told otherwise, the line below it says what was counted.
    let usual = SEED_EXAMPLE.replace("98ms\n", "98ms\nUsage: 2 LLM calls; 1 tool call\n");
    assert_eq!(lab.read_result(job).await, usual);
}

#[tokio::test]
async fn durations_of_every_size_read_as_promised() {
    for (duration, text) in [
        (Duration::ZERO, "0.01ms"),
        (Duration::from_nanos(1), "0.01ms"),
        (Duration::from_micros(420), "0.42ms"),
        (Duration::from_micros(421), "0.43ms"),
        (Duration::from_micros(1_999), "1ms"),
        (Duration::from_millis(98), "98ms"),
        (Duration::from_millis(999), "999ms"),
        (Duration::from_millis(1_234), "1234ms (1.2s)"),
        (Duration::from_secs(135), "135000ms (2m 15s)"),
        (Duration::from_secs(3_723), "3723000ms (1h 2m 3s)"),
        (Duration::from_hours(100), "360000000ms (100h 0m 0s)"),
    ] {
        let lab = lab_taking(duration);
        let job = lab.run_job("work").await;
        assert_eq!(
            lab.read_result(job).await,
            format!(
                "Result from worker job 1 (worker 2025-12-15T04-08-08_work):\n\nExecution time: {text}\n\nThe result is 42."
            )
        );
        let metadata = lab.metadata(job).await;
        assert_eq!(
            metadata.duration_us.map(u128::from),
            Some(duration.as_micros())
        );
        assert_eq!(
            metadata.duration_ms.map(u128::from),
            Some(duration.as_millis())
        );
        let (started, finished) = (metadata.started_at.unwrap(), metadata.finished_at.unwrap());
        assert_eq!(
            finished.unix_micros() - started.unix_micros(),
            i64::try_from(duration.as_micros()).unwrap()
        );
    }
}

/// Whatever becomes of the wall clock, time goes forward.
#[tokio::test]
async fn a_clock_that_is_set_back_makes_no_negative_duration() {
    let clock = seed_clock();
    let lab = Lab::with(LabOptions {
        clock: clock.clock(),
        agent: Some(Arc::new(agent(move |_, context| {
            let clock = clock.clone();
            async move {
                clock.advance(Duration::from_millis(98));
                clock.set_wall("1999-01-01T00:00:00.000000Z".parse().unwrap());
                context.say(Message::text(Role::Assistant, "Done."));
                Ok(())
            }
        }))),
        ..LabOptions::default()
    });
    let job = lab.run_job("work").await;
    let answer = lab.read_result(job).await;
    assert!(answer.contains("\n\nExecution time: 98ms\n\n"), "{answer}");
}

#[tokio::test]
async fn a_worker_without_a_job_is_called_by_its_id() {
    let lab = lab_taking(Duration::from_millis(98));
    let report = lab.run_worker("work").await;
    let arguments = json!({"job_id": report.worker_id});
    assert_eq!(
        lab.tools().call("read_worker_result", &arguments).await,
        "Result from worker 2025-12-15T04-08-08_work:\n\nExecution time: 98ms\n\nThe result is 42."
    );
}

#[tokio::test]
async fn a_failed_worker_has_its_time_too() {
    let clock = seed_clock();
    let lab = Lab::with(LabOptions {
        clock: clock.clock(),
        agent: Some(Arc::new(agent(move |task, context| {
            let clock = clock.clone();
            async move {
                context.say(Message::text(Role::Assistant, "Half of it is done."));
                clock.advance(Duration::from_millis(1_234));
                assert_ne!(task, "panic", "the sky falls");
                Err(AgentError::Other("the disk\nis gone".to_owned()))
            }
        }))),
        ..LabOptions::default()
    });
    let job = lab.run_job("fail").await;
    assert_eq!(
        lab.read_result(job).await,
        "\
Result from worker job 1 (worker 2025-12-15T04-08-08_fail):

Execution time: 1234ms (1.2s)
Status: failed
Error: the disk is gone

Half of it is done."
    );

    let job = lab.run_job("panic").await;
    let answer = lab.read_result(job).await;
    assert!(
        answer.starts_with(
            "\
Result from worker job 2 (worker 2025-12-15T04-08-09_panic):

Execution time: 1234ms (1.2s)
Status: failed
Error: the agent panicked: "
        ),
        "{answer}"
    );
    assert!(answer.contains("the sky falls"), "{answer}");
    assert!(answer.ends_with("\n\nHalf of it is done."), "{answer}");
}

#[tokio::test]
async fn a_worker_out_of_time_says_so_and_how_long_it_had() {
    let clock = seed_clock();
    let lab = Lab::with(LabOptions {
        clock: clock.clock(),
        agent: Some(Arc::new(agent(move |_, context| {
            let clock = clock.clone();
            async move {
                context.say(Message::tool_output("call_1", "42"));
                clock.advance(Duration::from_millis(300_007));
                std::future::pending().await
            }
        }))),
        ..LabOptions::default()
    });
    let request = SpawnRequest {
        timeout: Duration::from_millis(20),
        ..SpawnRequest::new("wait for ever")
    };
    let job = lab.start_job(request).await;
    lab.supervisor().idle().await;
    assert_eq!(
        lab.read_result(job).await,
        "\
Result from worker job 1 (worker 2025-12-15T04-08-08_wait-for-ever):

Execution time: 300007ms (5m 0s)
Status: timeout
Error: timed out after 20ms

(No answer; the last tool outputs:)

42"
    );
}

#[tokio::test]
async fn a_cancelled_worker_keeps_what_it_has() {
    let lab = Lab::with_agent(agent(|_, context| async move {
        context.say(Message::text(Role::Assistant, "So far so good."));
        std::future::pending().await
    }));
    let job = lab.start_job(SpawnRequest::new("wait")).await;
    eventually_async("a start", || {
        lab.supervisor().activity(job.try_into().unwrap())
    })
    .await;
    let arguments = json!({"job_id": job});
    assert_eq!(
        lab.tools().call("cancel_worker", &arguments).await,
        "Job 1 is being cancelled. Call read_worker_result for what there is of its result."
    );
    lab.supervisor().idle().await;
    let metadata = lab.metadata(job).await;
    let time = DurationText(Duration::from_micros(metadata.duration_us.unwrap()));
    assert_eq!(
        lab.read_result(job).await,
        format!(
            "Result from worker job 1 (worker {}):\n\nExecution time: {time}\nStatus: cancelled\nError: cancelled\n\nSo far so good.",
            metadata.worker_id
        )
    );
}

#[tokio::test]
async fn an_agent_that_says_nothing_has_a_time_all_the_same() {
    let lab = Lab::with_agent(agent(|_, _| async { Ok(()) }));
    let job = lab.run_job("say nothing").await;
    let answer = lab.read_result(job).await;
    assert!(answer.contains("\n\nExecution time: "), "{answer}");
    assert!(answer.ends_with("ms\n\n(No result generated)"), "{answer}");
}

#[tokio::test]
async fn a_job_that_waits_or_runs_says_where_it_stands() {
    let clock = seed_clock();
    let finish_all = Arc::new(Notify::new());
    let lab = Lab::with(LabOptions {
        clock: clock.clock(),
        concurrency: 1,
        agent: Some(Arc::new(agent({
            let finish_all = Arc::clone(&finish_all);
            move |_, context| {
                let finish_all = Arc::clone(&finish_all);
                async move {
                    let waited = tool_call("ssh_exec", async {
                        finish_all.notified().await;
                        Ok::<_, AgentError>(())
                    });
                    waited.await?;
                    finish_all.notify_one(); // The next one in line.
                    context.say(Message::text(Role::Assistant, "Done."));
                    Ok(())
                }
            }
        }))),
        ..LabOptions::default()
    });
    for task in ["first", "second", "third", "fourth"] {
        lab.start_job(SpawnRequest::new(task)).await;
    }
    eventually_async("a tool call", || {
        let activity = lab.supervisor().activity(1.try_into().unwrap())?;
        activity.in_flight.into_iter().next()
    })
    .await;
    clock.advance(Duration::from_millis(12_900));
    assert_eq!(
        lab.read_result(1).await,
        "Error: job 1 is still running (12s; tool ssh_exec for 12s). Call read_worker_result again later."
    );
    for (job, place) in [(2, "1st"), (3, "2nd"), (4, "3rd")] {
        assert_eq!(
            lab.read_result(job).await,
            format!(
                "Error: job {job} is queued ({place} in line). Call read_worker_result again later."
            )
        );
    }
    finish_all.notify_one();
    lab.supervisor().idle().await;
    for job in 1..=4 {
        let answer = lab.read_result(job).await;
        assert!(answer.ends_with("\n\nDone."), "{answer}");
        assert_eq!(lab.metadata(job).await.status, Status::Success);
    }
}

/// At the end of its process a job that runs is cancelled, and one that waits is not left waiting for ever.
#[tokio::test]
async fn a_supervisor_that_shuts_down_leaves_no_job_open() {
    let lab = Lab::with(LabOptions {
        concurrency: 1,
        agent: Some(Arc::new(agent(|_, _| std::future::pending()))),
        ..LabOptions::default()
    });
    let running = lab.start_job(SpawnRequest::new("run")).await;
    eventually_async("a start", || {
        lab.supervisor().activity(running.try_into().unwrap())
    })
    .await;
    let queued = lab.start_job(SpawnRequest::new("wait")).await;
    lab.supervisor().shut_down().await;
    let answer = lab.read_result(running).await;
    assert!(answer.contains("\nStatus: cancelled\n"), "{answer}");
    assert_eq!(
        lab.read_result(queued).await,
        "Error: job 2 was cancelled before it started. Spawn it again if it is needed."
    );
}

#[tokio::test]
async fn an_unknown_job_and_somebody_elses_read_the_same() {
    let lab = Lab::new();
    let job = lab.run_job("calculate 7*6").await;
    let others = lab.tools_of("somebody-else");
    for (tools, job) in [(lab.tools(), 99), (others, job)] {
        assert_eq!(
            tools
                .call("read_worker_result", &json!({"job_id": job}))
                .await,
            format!("Error: job {job} not found. Use list_workers to see job ids.")
        );
    }
}

/// A supervisor must not take a worker's metrics for whole when they are not.
#[tokio::test]
async fn lost_events_are_in_the_head() {
    let lab = Lab::new();
    let data_dir = lab.data_dir().to_owned();
    let forgetful = agent(move |_, context| {
        let worker_id = current_worker_id().unwrap();
        let file = data_dir.join(worker_id.as_str()).join("metrics.jsonl");
        async move {
            // The events have nowhere to go: a folder stands where their file was.
            fs::remove_file(&file).unwrap();
            fs::create_dir(&file).unwrap();
            for _ in 0..2 {
                tool_call("ssh_exec", async { Ok::<_, AgentError>(()) }).await?;
            }
            context.say(Message::text(Role::Assistant, "Done."));
            Ok(())
        }
    });
    let options = RunOptions {
        flush_timeout: Duration::from_secs(3),
        ..RunOptions::default()
    };
    let runner = WorkerRunner::new(lab.store().clone(), Arc::new(forgetful));
    let report = runner.run_worker("lose", options).await.unwrap();
    assert_eq!((report.status, report.events_lost), (Status::Success, 2));

    let id = &report.worker_id;
    let answer = lab
        .tools()
        .call("read_worker_result", &json!({"job_id": id}))
        .await;
    let metadata = lab.store().worker(id).unwrap().metadata().unwrap();
    let reason = metadata.extra[EVENTS_LOST_REASON].as_str().unwrap();
    let (_, head_and_result) = answer.split_once(":\n\n").unwrap();
    assert_eq!(
        head_and_result,
        format!(
            "Execution time: {}\nUsage: 2 tool calls\nWarning: 2 events lost ({reason})\n\nDone.",
            DurationText(Duration::from_micros(metadata.duration_us.unwrap()))
        )
    );
    assert!(reason.to_lowercase().contains("directory"), "{reason}");
    assert_eq!((metadata.events, metadata.events_lost), (Some(2), Some(2)));
}

/// The program prints what the tool says, in the process that ran the worker and in any other.
#[test]
fn the_program_shows_the_same_text() {
    let data_dir = tempfile::tempdir().unwrap();
    let program =
        |arguments: &[&str]| finish(triscope(arguments).arg("--data-dir").arg(data_dir.path()));
    let run = program(&["run", "calculate 7*6"]).answer();
    assert_eq!(program(&["result", "1"]).answer(), run);
    let without = program(&["result", "1", "--no-usage"]).answer();
    assert_eq!(
        without,
        run.replace("Usage: 2 LLM calls; 1 tool call\n", "")
    );
    assert_ne!(without, run);

    let metadata = program(&["meta", "1", "--json"]).json();
    let duration = Duration::from_micros(metadata["duration_us"].as_u64().unwrap());
    assert_eq!(
        run,
        format!(
            "Result from worker job 1 (worker {}):\n\nExecution time: {}\nUsage: 2 LLM calls; 1 tool call\n\nThe result is 42.\n",
            metadata["worker_id"].as_str().unwrap(),
            DurationText(duration)
        )
    );
}
