//! A program that writes and reads `metrics.jsonl` with `metrics-core` and nothing else.

use std::{
    fs::{self, File, OpenOptions},
    io::{BufReader, Write as _},
    time::Duration,
};

use metrics_core::{
    CallTime, Clock, Event, EventReader, LineContent, LlmCall, Outcome, Phase, ToolCall, Usage,
};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // As the README shows.
    let time = CallTime::new(
        "2025-12-15T04:08:08.123456Z".parse()?,
        Duration::from_micros(111_111),
    );
    let mut call = LlmCall::new(Phase::INITIAL, "gpt-5-mini", time);
    call.usage = Usage::new(1234, 89);
    let line = Event::from(call).to_line();
    assert_eq!(
        line,
        r#"{"event":"llm_call","phase":"initial","model":"gpt-5-mini","start_ts":"2025-12-15T04:08:08.123456Z","end_ts":"2025-12-15T04:08:08.234567Z","duration_ms":111,"prompt_tokens":1234,"completion_tokens":89,"total_tokens":1323}"#
    );

    // A file written by hand, with a line that is not ours in it, is read to its end.
    let path = std::env::args().nth(1).ok_or("give a path for the file")?;
    let clock = Clock::system();
    let start = clock.start();
    let mut call = ToolCall::new("ssh_exec", clock.finish(&start));
    call.outcome = Outcome::failure("no route");
    let mut file = OpenOptions::new().create(true).append(true).open(&path)?;
    writeln!(file, "{line}\nnot ours\n{}", Event::from(call).to_line())?;

    let mut reader = EventReader::new(BufReader::new(File::open(&path)?));
    let (mut failed, mut unusable) = (0, Vec::new());
    while let Some(line) = reader.next_line()? {
        match line.content {
            LineContent::Event(event) => failed += usize::from(!event.outcome().is_success()),
            _ => unusable.push(line.number),
        }
    }
    assert_eq!((failed, unusable), (1, vec![2]));
    println!("{} bytes of events", fs::metadata(&path)?.len());
    Ok(())
}
