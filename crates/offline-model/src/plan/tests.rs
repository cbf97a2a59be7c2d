//! Which steps a task has, and which of them wait for others.

use std::time::{Duration, Instant};

use super::{Action, MAX_STEPS, Plan};

/// The steps in short, `|` between two turns.
fn steps(task: &str) -> String {
    let mut res: Vec<String> = Vec::new();
    let mut last_turn = 0;
    for step in Plan::new(task).steps {
        if step.turn != last_turn {
            last_turn = step.turn;
            res.push("|".to_owned());
        }
        res.push(match step.action {
            Action::Calculate { expression } => format!("calculate[{expression}]"),
            Action::Time => "time[]".to_owned(),
            Action::Fetch { url } => format!("fetch[{url}]"),
            Action::Run { command } => format!("run[{command}]"),
            Action::Read { path } => format!("read[{path}]"),
            Action::List { path } => format!("list[{path}]"),
            Action::RunOn { host, command } => format!("on[{host} {command}]"),
            Action::Say { text } => format!("say[{text}]"),
            Action::Unknown { text } => format!("?[{text}]"),
        });
    }
    res.join(" ")
}

#[test]
fn one_step() {
    for (task, expected) in [
        ("calculate 7*6", "calculate[7*6]"),
        ("Compute: (2 + 3) * 4.", "calculate[(2 + 3) * 4]"),
        ("evaluate `7 * 6`", "calculate[7 * 6]"),
        ("calculate 2 plus 3", "calculate[2 plus 3]"),
        ("calculate max(1, 2)", "calculate[max(1, 2)]"),
        ("what is 7*6?", "calculate[7*6]"),
        ("What's -2 + 3 ?", "calculate[-2 + 3]"),
        ("7*6", "calculate[7*6]"),
        ("(2 + 3) * 4", "calculate[(2 + 3) * 4]"),
        ("2 - 1", "calculate[2 - 1]"),
        ("-.5^2", "calculate[-.5^2]"),
        ("time", "time[]"),
        ("tell the time", "time[]"),
        ("Tell me the current time, please!", "time[]"),
        ("What time is it now?", "time[]"),
        ("what is the date and time", "time[]"),
        ("get the time", "time[]"),
        (
            "fetch http://127.0.0.1:1234/x",
            "fetch[http://127.0.0.1:1234/x]",
        ),
        ("GET https://x.org/a?b=c,d.", "fetch[https://x.org/a?b=c,d]"),
        ("download `http://x/a b`", "fetch[http://x/a b]"),
        ("run `sleep 0.1; echo hi`", "run[sleep 0.1; echo hi]"),
        ("run: `echo hi`", "run[echo hi]"),
        (
            "run: echo hi; read x and then date",
            "run[echo hi; read x and then date]",
        ),
        ("sh: ls | `which wc`", "run[ls | `which wc`]"),
        ("read notes.txt", "read[notes.txt]"),
        ("Read the file logs/today.txt.", "read[logs/today.txt]"),
        ("read file `my notes.txt`", "read[my notes.txt]"),
        ("read ../x", "read[../x]"),
        ("read file", "read[file]"),
        ("list the files in logs", "list[logs]"),
        ("List files.", "list[.]"),
        ("list files of `my logs`", "list[my logs]"),
        ("list the directory logs/today", "list[logs/today]"),
        ("list files and tell the time", "list[.] time[]"),
        ("on web-1 run `uptime; df -h`", "on[web-1 uptime; df -h]"),
        (
            "On web-1 run: `date` then read x",
            "on[web-1 date] | read[x]",
        ),
        ("list workers", "?[list workers]"),
        ("on monday run", "?[on monday run]"),
        ("say hello!", "say[hello!]"),
        (
            "say salt and pepper, then more",
            "say[salt and pepper, then more]",
        ),
        (
            "can you please calculate 7*6 now, please?",
            "calculate[7*6]",
        ),
    ] {
        assert_eq!(steps(task), expected, "{task:?}");
    }
}

#[test]
fn several_steps() {
    for (task, expected) in [
        (
            "calculate 2+3 and then tell the time",
            "calculate[2+3] | time[]",
        ),
        ("calculate 2+3 and tell the time", "calculate[2+3] time[]"),
        (
            "fetch http://127.0.0.1:1234/x, run `sleep 0.1; echo hi`, read file notes.txt",
            "fetch[http://127.0.0.1:1234/x] run[sleep 0.1; echo hi] read[notes.txt]",
        ),
        (
            "2+3, 7*6; 1-1",
            "calculate[2+3] calculate[7*6] calculate[1-1]",
        ),
        (
            "run: echo a\nrun: echo b\nThen date",
            "run[echo a] run[echo b] | time[]",
        ),
        (
            "calculate 1+1. Then time. Then say done.",
            "calculate[1+1] | time[] | say[done.]",
        ),
        ("say hi, then read x and date", "say[hi] | read[x] time[]"),
        ("then time then time", "time[] | time[]"),
        (
            "Hello there, calculate 7*6",
            "?[Hello there] calculate[7*6]",
        ),
        (
            "read a.txt carefully and time",
            "read[a.txt] ?[carefully] time[]",
        ),
        ("run `a`,`b`", "run[a] ?[`b`]"),
        ("run `a\nread b", "?[run `a] read[b]"),
    ] {
        assert_eq!(steps(task), expected, "{task:?}");
    }
}

#[test]
fn what_is_no_step() {
    for (task, expected) in [
        ("", ""),
        (" \n,.;!? and then please", ""),
        ("42", "?[42]"),
        ("what is love?", "?[what is love]"),
        ("run tests", "?[run tests]"),
        ("run ``", "?[run ``]"),
        ("run:", "?[run:]"),
        ("fetch example.org", "?[fetch example.org]"),
        ("read", "?[read]"),
        ("read .", "?[read]"),
        ("say", "?[say]"),
        ("calculate", "?[calculate]"),
        ("calculate, then time", "?[calculate] | time[]"),
        ("Investigate the outage", "?[Investigate the outage]"),
        ("12:30 lunch", "?[12:30 lunch]"),
        ("\0`\0", "?[\0`\0]"),
    ] {
        assert_eq!(steps(task), expected, "{task:?}");
    }
}

#[test]
fn a_long_task_is_cut_to_a_bound() {
    let task = "time; ".repeat(MAX_STEPS);
    let plan = Plan::new(&task);
    assert_eq!((plan.steps.len(), plan.more), (MAX_STEPS, false));
    let task = "time; ".repeat(MAX_STEPS + 1);
    let plan = Plan::new(&task);
    assert_eq!((plan.steps.len(), plan.more), (MAX_STEPS, true));
    let plan = Plan::new("say a, say b");
    assert!(!plan.more);
}

#[test]
fn anything_again_and_again_is_read_in_linear_time() {
    let started = Instant::now();
    for unit in [
        "(",
        "`",
        "` ",
        "`\n",
        " ",
        "\n",
        ",",
        ".,",
        "and ",
        "then ",
        "please ",
        "the ",
        "tell ",
        "1+1 ",
        "say and ",
        "a, ",
        "what is ",
        "read the file ",
        "run: ",
        "run, ",
        "say, ",
        "run:\n",
        "fetch ",
        "🦀",
        "\0",
        "time is ",
        "x, get ",
    ] {
        let task = unit.repeat((1 << 17) / unit.len());
        Plan::new(&format!("say {task}, then {task}"));
    }
    Plan::new(&"say 🦀, ".repeat(1 << 18));
    Plan::new(&"🦀\0 `".repeat(1 << 18));
    // Seconds even unoptimised; many minutes if it were quadratic.
    assert!(started.elapsed() < Duration::from_mins(1));
}
