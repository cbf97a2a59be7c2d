//! A line that says what runs, on a terminal and only there.

use std::{io::IsTerminal as _, time::Duration};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use supervisor_tools::{Activity, JobId, one_line};

use crate::app::App;

/// Shows what the workers of this process are doing until it is dropped.
pub(crate) struct Progress(Option<tokio::task::JoinHandle<()>>, Option<ProgressBar>);

impl Progress {
    pub(crate) fn show(app: &App) -> Self {
        // Log lines on the same terminal say more, and would break the line.
        if app.verbose || !std::io::stderr().is_terminal() {
            return Self(None, None);
        }
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        if let Ok(style) = ProgressStyle::with_template("{spinner} {wide_msg}") {
            bar.set_style(style);
        }
        let (supervisor, for_task) = (app.supervisor.clone(), bar.clone());
        let task = tokio::spawn(async move {
            let mut ticks = tokio::time::interval(Duration::from_millis(100));
            loop {
                ticks.tick().await;
                for_task.set_message(describe(&supervisor.activities()));
                for_task.tick();
            }
        });
        Self(Some(task), Some(bar))
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(task) = &self.0 {
            task.abort();
        }
        if let Some(bar) = &self.1 {
            bar.finish_and_clear();
        }
    }
}

fn describe(running: &[(JobId, Activity)]) -> String {
    let workers = running.iter().map(|(id, activity)| {
        let doing = match activity.in_flight.first() {
            Some(call) => one_line(&call.name),
            None => "thinking".to_owned(),
        };
        format!("job {id} {:.1}s: {doing}", activity.elapsed.as_secs_f64())
    });
    workers.collect::<Vec<_>>().join("   ")
}
