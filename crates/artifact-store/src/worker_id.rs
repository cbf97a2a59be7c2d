//! Making worker ids: `2025-12-15T04-08-08_calculate-7-6`.

use metrics_core::{Timestamp, WorkerId};

const MAX_SLUG_CHARS: usize = 30;

/// The id of the `n`-th worker (from 1) of this second with this task.
///
/// The number stands before the slug, so that a `grep` for the first one's id does not find the others.
pub(crate) fn worker_id(now: Timestamp, task: &str, n: u32) -> WorkerId {
    let (stamp, slug) = (stamp(now), slug(task));
    match n {
        1 => format!("{stamp}_{slug}"),
        _ => format!("{stamp}_{n}-{slug}"),
    }
    .into()
}

/// The part of an id that says when: `2025-12-15T04-08-08`.
pub(crate) fn stamp(at: Timestamp) -> String {
    at.to_string().replace(':', "-")[..19].to_owned()
}

/// Whether `id` begins as our ids do, so that its order is its age.
pub(crate) fn has_stamp(id: &str) -> bool {
    let bytes = id.as_bytes();
    bytes.len() > 20
        && bytes[19] == b'_'
        && b"0000-00-00T00-00-00"
            .iter()
            .zip(bytes)
            .all(|(form, byte)| match form {
                b'0' => byte.is_ascii_digit(),
                _ => byte == form,
            })
}

/// Lower-case letters and digits of the task's beginning, anything else as one `-`; `worker` if nothing is left.
fn slug(task: &str) -> String {
    let mut slug = String::with_capacity(MAX_SLUG_CHARS);
    for it in task.chars() {
        if slug.len() == MAX_SLUG_CHARS {
            break;
        }
        if it.is_ascii_alphanumeric() {
            slug.push(it.to_ascii_lowercase());
        } else if !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
    }
    slug.truncate(slug.trim_end_matches('-').len());
    if slug.is_empty() {
        slug.push_str("worker");
    }
    slug
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{has_stamp, slug, worker_id};

    #[test]
    fn a_slug_is_short_plain_and_never_empty() {
        for (task, expected) in [
            ("calculate 7*6", "calculate-7-6"),
            ("", "worker"),
            ("../../etc", "etc"),
            ("😀😀", "worker"),
            ("--Back  UP!!", "back-up"),
            ("CON", "con"),
            (
                "this task has a rather long description",
                "this-task-has-a-rather-long-de",
            ),
        ] {
            assert_eq!(slug(task), expected, "{task}");
        }
    }

    #[test]
    fn later_workers_of_a_second_are_not_found_by_a_grep_for_the_first() {
        let now = "2025-12-15T04:08:08.999999Z".parse().unwrap();
        let first = worker_id(now, "backup", 1);
        let second = worker_id(now, "backup", 2);
        assert_eq!(first.as_str(), "2025-12-15T04-08-08_backup");
        assert_eq!(second.as_str(), "2025-12-15T04-08-08_2-backup");
        assert!(!second.as_str().contains(first.as_str()));
        assert!(has_stamp(first.as_str()) && !has_stamp("backup"));
    }

    proptest! {
        #[test]
        fn any_task_gives_a_slug(task in any::<String>()) {
            let slug = slug(&task);
            prop_assert!((1..=30).contains(&slug.len()));
            prop_assert!(slug.bytes().all(|it| matches!(it, b'a'..=b'z' | b'0'..=b'9' | b'-')));
            prop_assert!(!slug.starts_with('-') && !slug.ends_with('-'));
        }
    }
}
