//! One worker's calls on a time axis.

use std::fmt::Write as _;

use metrics_core::with_commas;

use crate::{Call, Cell, Column, Fold, Kind, Table, table::one_line};

/// A worker with more calls than this has no timeline that a person could read.
pub const MAX_TIMELINE_CALLS: usize = 10_000;

/// Collects calls for a timeline.
#[derive(Debug, Default)]
pub struct Timeline {
    calls: Vec<Span>,
    /// Calls beyond [`MAX_TIMELINE_CALLS`].
    left_out: u64,
}

/// What is on the axis.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Span {
    start: i64,
    end: i64,
    /// `None` where the agent was at work by itself.
    kind: Option<Kind>,
    name: String,
    phase: String,
    success: bool,
    duration_ms: u64,
    /// Whether nothing that began earlier was still going on and ended later: had it been shorter, so had the worker.
    is_critical: bool,
}

impl Fold for Timeline {
    fn call(&mut self, call: &Call<'_>) {
        let record = call.record;
        if self.calls.len() >= MAX_TIMELINE_CALLS {
            self.left_out += 1;
            return;
        }
        let text = |it: &[u8]| String::from_utf8_lossy(it).into_owned();
        let start = record.start.unix_micros();
        self.calls.push(Span {
            start,
            // A foreign writer's clock may have gone back.
            end: record.end.unix_micros().max(start),
            kind: Some(record.kind),
            name: text(record.name),
            phase: text(record.phase),
            success: record.success,
            duration_ms: record.duration_ms,
            is_critical: false,
        });
    }

    fn merge(&mut self, other: Self) {
        self.left_out += other.left_out;
        self.calls.extend(other.calls);
        if self.calls.len() > MAX_TIMELINE_CALLS {
            self.calls.sort_unstable();
            self.left_out += (self.calls.len() - MAX_TIMELINE_CALLS) as u64;
            self.calls.truncate(MAX_TIMELINE_CALLS);
        }
    }
}

impl Timeline {
    /// Calls that are not on it, as there are too many.
    pub fn left_out(&self) -> u64 {
        self.left_out
    }

    /// Calls in the order of their starts, with the agent's own time between them, and the critical path marked: from the
    /// end back, the call that ended last before the one behind it began.
    fn spans(&self) -> Vec<Span> {
        let mut calls = self.calls.clone();
        calls.sort_unstable();
        let mut limit = i64::MAX;
        loop {
            let candidates = calls
                .iter_mut()
                .filter(|it| it.end <= limit && !it.is_critical);
            // Of those that ended together the longest explains most.
            let Some(last) = candidates.max_by_key(|it| (it.end, -it.start)) else {
                break;
            };
            last.is_critical = true;
            limit = last.start;
        }
        let mut spans = Vec::with_capacity(calls.len());
        let mut busy_until = calls.first().map_or(0, |it| it.start);
        for call in calls {
            if call.start > busy_until {
                spans.push(Span {
                    start: busy_until,
                    end: call.start,
                    kind: None,
                    name: "(agent)".to_owned(),
                    phase: String::new(),
                    success: true,
                    duration_ms: (call.start - busy_until).unsigned_abs() / 1000,
                    is_critical: true,
                });
            }
            busy_until = busy_until.max(call.end);
            spans.push(call);
        }
        spans
    }

    /// A row a call or gap, for programs.
    pub fn table(&self) -> Table {
        let column = |name| Column { name, head: name };
        let spans = self.spans();
        let begin = spans.first().map_or(0, |it| it.start);
        let rows = spans.into_iter().map(|it| {
            let kind = it.kind.map_or("agent", Kind::as_str);
            vec![
                Cell::Whole(u128::from((it.start - begin).unsigned_abs() / 1000)),
                Cell::Whole(it.duration_ms.into()),
                Cell::Text(kind.to_owned()),
                Cell::Text(it.name),
                Cell::text((!it.phase.is_empty()).then_some(it.phase)),
                Cell::Bool(it.success),
                Cell::Bool(it.is_critical),
            ]
        });
        Table {
            rows: rows.collect(),
            columns: [
                "offset_ms",
                "duration_ms",
                "event",
                "name",
                "phase",
                "success",
                "critical",
            ]
            .map(column)
            .to_vec(),
        }
    }

    /// A waterfall `width` characters wide: a line a call or gap. `█` is on the critical path, `▒` beside it, `·` the agent's
    /// own time; a failed call has a `✗`.
    pub fn draw(&self, width: usize) -> String {
        let spans = self.spans();
        let Some(begin) = spans.first().map(|it| it.start) else {
            return String::new();
        };
        let end = spans.iter().map(|it| it.end).max().unwrap_or(begin);
        let label = |it: &Span| {
            let mut label = one_line(&it.name);
            if !it.phase.is_empty() {
                label = format!("{label} {}", one_line(&it.phase));
            }
            if !it.success {
                label.push_str(" ✗");
            }
            label.chars().take(32).collect::<String>()
        };
        let labels: Vec<_> = spans.iter().map(label).collect();
        let label_width = labels
            .iter()
            .map(|it| it.chars().count())
            .max()
            .unwrap_or(0);
        let axis = width.saturating_sub(label_width + 14).max(20);
        let scale = |at: i64| {
            let (at, whole) = (i128::from(at - begin), i128::from((end - begin).max(1)));
            usize::try_from(at * axis as i128 / whole)
                .unwrap_or(0)
                .min(axis)
        };
        let mut text = String::new();
        for (span, label) in spans.iter().zip(labels) {
            let from = scale(span.start).min(axis - 1);
            let to = scale(span.end).max(from + 1);
            let mark = match (span.kind, span.is_critical) {
                (None, _) => "·",
                (_, true) => "█",
                (_, false) => "▒",
            };
            let bar = " ".repeat(from) + &mark.repeat(to - from);
            let millis = with_commas(&span.duration_ms.to_string());
            // Writing to a text cannot fail.
            let _ = writeln!(
                text,
                "{label:<label_width$} {millis:>10}ms {}",
                bar.trim_end()
            );
        }
        let sum = |wanted: Option<Kind>| {
            let of_kind = spans.iter().filter(|it| it.kind == wanted);
            with_commas(
                &of_kind
                    .map(|it| u128::from(it.duration_ms))
                    .sum::<u128>()
                    .to_string(),
            )
        };
        let whole = (end - begin).unsigned_abs() / 1000;
        let _ = writeln!(
            text,
            "\n{}ms from the first call to the last: models {}ms, tools {}ms, the agent's own time {}ms. \
             █ critical path, ▒ beside it, · agent, ✗ failed.",
            with_commas(&whole.to_string()),
            sum(Some(Kind::LlmCall)),
            sum(Some(Kind::ToolCall)),
            sum(None),
        );
        if self.left_out > 0 {
            let n = with_commas(&self.left_out.to_string());
            let _ = writeln!(text, "{n} more calls are not shown.");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::{Span, Timeline};
    use crate::{Format, Kind};

    fn span(kind: Kind, name: &str, start: i64, end: i64) -> Span {
        Span {
            start: start * 1000,
            end: end * 1000,
            kind: Some(kind),
            name: name.to_owned(),
            phase: String::new(),
            success: name != "bad",
            duration_ms: (end - start).unsigned_abs(),
            is_critical: false,
        }
    }

    #[test]
    fn gaps_are_the_agents_and_the_longest_way_is_marked() {
        let timeline = Timeline {
            calls: vec![
                span(Kind::ToolCall, "bad", 110, 150),
                span(Kind::LlmCall, "model", 0, 100),
                span(Kind::ToolCall, "long", 110, 300),
                span(Kind::LlmCall, "model", 300, 400),
            ],
            left_out: 0,
        };
        insta::assert_snapshot!(timeline.draw(60), @r"
        model          100ms █████████
        (agent)         10ms          ·
        bad ✗           40ms           ▒▒▒▒
        long           190ms           ███████████████████
        model          100ms                              ██████████

        400ms from the first call to the last: models 200ms, tools 230ms, the agent's own time 10ms. █ critical path, ▒ beside it, · agent, ✗ failed.
        ");
        insta::assert_snapshot!(timeline.table().render(Format::Csv), @r"
        offset_ms,duration_ms,event,name,phase,success,critical
        0,100,llm_call,model,,true,true
        100,10,agent,(agent),,true,true
        110,40,tool_call,bad,,false,false
        110,190,tool_call,long,,true,true
        300,100,llm_call,model,,true,true
        ");
        assert_eq!(Timeline::default().draw(80), "");
    }

    #[test]
    fn calls_without_length_and_clocks_that_went_back_are_drawn() {
        let calls = vec![
            span(Kind::ToolCall, "a", 5, 5),
            span(Kind::ToolCall, "b", 5, 5),
        ];
        let timeline = Timeline { calls, left_out: 3 };
        let drawn = timeline.draw(0);
        assert_eq!(drawn.matches('█').count(), 3, "{drawn}");
        assert!(drawn.ends_with("3 more calls are not shown.\n"));
    }
}
