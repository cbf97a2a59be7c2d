//! What a command's answer says of its end.

use super::Finished;

/// What the command printed, with a line about what is not in there.
pub(crate) fn with_output(finished: &Finished) -> String {
    let mut output = finished.output.clone();
    if finished.left_open {
        if !output.is_empty() && !output.ends_with('\n') {
            output.push('\n');
        }
        output.push_str("[a process left in the background held the output open and was killed]");
    }
    if output.is_empty() {
        output.push_str("(no output)");
    }
    output
}
