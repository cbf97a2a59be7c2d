//! A failed model call is tried again where that may help, and every attempt is an event.

use std::{collections::HashSet, time::Duration};

use artifact_store::Status;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::support::{Home, Turn, react, say};
use crate::{ErrorClass, ModelError, RetryPolicy, RunOptions, WorkerReport};

fn fails(class: ErrorClass) -> Turn {
    Turn::Error(ModelError::new(class, "because"))
}

fn come_back(after: Duration) -> Turn {
    Turn::Error(ModelError {
        retry_after: Some(after),
        ..ModelError::new(ErrorClass::RateLimited, "HTTP 429")
    })
}

async fn run(
    home: &Home,
    policy: RetryPolicy,
    timeout: Duration,
    turns: impl IntoIterator<Item = Turn>,
) -> WorkerReport {
    let runner = home.runner(react(turns, []).retry(policy));
    let options = RunOptions {
        timeout,
        ..RunOptions::default()
    };
    runner.run_worker("x", options).await.unwrap()
}

/// `attempt` and `error` of each event.
fn attempts(home: &Home, report: &WorkerReport) -> Vec<(Value, Value)> {
    let events = home.events(&report.worker_id);
    let of = |it: &Value| (it["attempt"].clone(), it["error"].clone());
    events.iter().map(of).collect()
}

/// The usual policy without its waits.
fn at_once() -> RetryPolicy {
    RetryPolicy {
        first_pause: Duration::ZERO,
        ..RetryPolicy::default()
    }
}

const LONG: Duration = Duration::from_hours(1);

#[tokio::test]
async fn each_attempt_is_an_event_with_its_number_and_its_error() {
    let home = Home::new();
    let turns = [
        fails(ErrorClass::Unreachable),
        fails(ErrorClass::ServerError),
        say("42"),
    ];
    let report = run(&home, at_once(), LONG, turns).await;
    assert_eq!((report.status, &*report.result), (Status::Success, "42"));
    assert_eq!(
        attempts(&home, &report),
        [
            (json!(1), json!("unreachable: because")),
            (json!(2), json!("server_error: because")),
            (json!(3), Value::Null),
        ]
    );
    assert_eq!(report.totals.llm_failures, 2);
}

#[tokio::test]
async fn only_what_may_pass_is_tried_again() {
    use ErrorClass::{
        BadReply, BrokenOff, RateLimited, Refused, ServerError, Timeout, Unauthorized, Unreachable,
    };
    for class in [Unauthorized, Refused, BadReply] {
        let home = Home::new();
        let report = run(&home, at_once(), LONG, [fails(class)]).await;
        let error = format!("{class}: because");
        assert_eq!(
            (report.status, report.error.as_deref()),
            (Status::Failed, Some(&*error))
        );
        // Nothing was retried, so there is no number.
        assert_eq!(attempts(&home, &report), [(Value::Null, json!(error))]);
    }
    for class in [Unreachable, Timeout, BrokenOff, RateLimited, ServerError] {
        let home = Home::new();
        let report = run(
            &home,
            RetryPolicy::default(),
            LONG,
            [fails(class), say("42")],
        )
        .await;
        assert_eq!(report.status, Status::Success, "{class}");
    }
}

#[tokio::test]
async fn attempts_end_and_the_last_failure_is_the_worker_s() {
    let home = Home::new();
    let policy = RetryPolicy {
        attempts: 3,
        ..at_once()
    };
    let turns = [1, 2, 3].map(|_| fails(ErrorClass::ServerError));
    let report = run(&home, policy, LONG, turns).await;
    assert_eq!(report.error.as_deref(), Some("server_error: because"));
    let numbers: Vec<_> = attempts(&home, &report)
        .into_iter()
        .map(|it| it.0)
        .collect();
    // The last attempt knows that it was not the first one.
    assert_eq!(numbers, [json!(1), json!(2), json!(3)]);
}

#[test]
fn pauses_double_up_to_a_bound_and_differ_at_random() {
    let policy = RetryPolicy {
        attempts: 6,
        first_pause: Duration::from_secs(1),
        longest_pause: Duration::from_secs(4),
        total: LONG,
    };
    let error = ModelError::new(ErrorClass::Unreachable, "down");
    let mut first_pauses = HashSet::new();
    for _ in 0..50 {
        // A quarter less at most.
        for (attempt, whole) in [(1, 1.0), (2, 2.0), (3, 4.0), (4, 4.0), (5, 4.0)] {
            let pause = policy.pause(&error, attempt).unwrap();
            let range = 0.75 * whole..=whole;
            assert!(range.contains(&pause.as_secs_f64()), "{attempt}: {pause:?}");
            if attempt == 1 {
                first_pauses.insert(pause);
            }
        }
    }
    assert!(first_pauses.len() > 10, "{first_pauses:?}");
    assert_eq!(policy.pause(&error, 6), None);
}

#[tokio::test(start_paused = true)]
async fn the_provider_s_wish_is_longer_than_our_own_pause() {
    let home = Home::new();
    let started = Instant::now();
    let asked = Duration::from_secs(100);
    let report = run(
        &home,
        RetryPolicy::default(),
        LONG,
        [come_back(asked), say("42")],
    )
    .await;
    assert_eq!(report.status, Status::Success);
    assert!(started.elapsed() >= asked, "{:?}", started.elapsed());
}

/// Waiting would end in a time limit that says nothing of the provider.
#[tokio::test(start_paused = true)]
async fn a_wait_that_the_worker_has_no_time_for_is_given_up_at_once() {
    let home = Home::new();
    let started = Instant::now();
    let turns = [come_back(Duration::from_secs(61))];
    let policy = RetryPolicy {
        total: LONG,
        ..RetryPolicy::default()
    };
    let report = run(&home, policy, Duration::from_mins(1), turns).await;
    assert_eq!(
        (report.status, report.error.as_deref()),
        (Status::Failed, Some("rate_limited: HTTP 429"))
    );
    assert!(
        started.elapsed() < Duration::from_secs(10),
        "{:?}",
        started.elapsed()
    );
}

#[tokio::test(start_paused = true)]
async fn no_attempt_starts_after_the_policy_s_time() {
    let home = Home::new();
    let policy = RetryPolicy {
        total: Duration::from_secs(99),
        ..RetryPolicy::default()
    };
    let turns = [
        come_back(Duration::from_secs(50)),
        come_back(Duration::from_secs(50)),
    ];
    let report = run(&home, policy, LONG, turns).await;
    assert_eq!(report.status, Status::Failed);
    assert_eq!(report.totals.llm_calls, 2);
}

#[tokio::test(start_paused = true)]
async fn an_absurd_wish_is_no_panic() {
    let home = Home::new();
    let report = run(
        &home,
        RetryPolicy::default(),
        Duration::MAX,
        [come_back(Duration::MAX)],
    )
    .await;
    assert_eq!(report.status, Status::Failed);
}
