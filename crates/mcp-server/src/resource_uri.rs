//! Names of files as URIs: `triscope://workers/{worker_id}/{+path}{?offset}`, or `triscope://jobs/{job_id}/…`.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use supervisor_tools::JobRef;

const SCHEME: &str = "triscope://";
/// What stands as it is: the unreserved characters.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');
/// The same, and what separates the parts of a path.
const ENCODED_PATH: &AsciiSet = &ENCODED.remove(b'/');
/// No path in a worker's directory is longer, and three bytes stand for one.
const MAX_URI_BYTES: usize = 16 << 10;

/// A worker's file, or a part of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FileUri {
    pub(crate) job: JobRef,
    /// As the client gave it; whoever opens it sees to it that it stays in the worker's directory.
    pub(crate) path: String,
    pub(crate) offset: u64,
}

/// The URI of a worker's file.
pub(crate) fn of_file(worker_id: &str, path: &str) -> String {
    let worker_id = utf8_percent_encode(worker_id, ENCODED);
    let path = utf8_percent_encode(path, ENCODED_PATH);
    format!("{SCHEME}workers/{worker_id}/{path}")
}

/// Reads a URI.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn parse(uri: &str) -> Result<FileUri, &'static str> {
    const FORM: &str = "a resource is named triscope://workers/{worker_id}/{path} or triscope://jobs/{job_id}/{path}";
    if uri.len() > MAX_URI_BYTES {
        return Err("the URI is too long");
    }
    let rest = uri.strip_prefix(SCHEME).ok_or(FORM)?;
    let (rest, offset) = match rest.split_once('?') {
        None => (rest, 0),
        Some((rest, query)) => {
            let offset = query.strip_prefix("offset=").map(str::parse);
            match offset {
                Some(Ok(offset)) => (rest, offset),
                _ => return Err("behind `?` only `offset=`, in bytes, can be asked for"),
            }
        }
    };
    let (kind, rest) = rest.split_once('/').ok_or(FORM)?;
    let (owner, path) = rest.split_once('/').ok_or(FORM)?;
    let decoded = |text| {
        let text = percent_decode_str(text).decode_utf8();
        text.map_err(|_| "the URI is not UTF-8")
    };
    let owner = decoded(owner)?;
    let no_job = "there is no such job or worker";
    let job = match kind {
        // A worker's id may consist of digits, which a job's number does.
        "workers" if owner.bytes().all(|it| it.is_ascii_digit()) => return Err(no_job),
        "jobs" if !owner.bytes().all(|it| it.is_ascii_digit()) => return Err(no_job),
        "workers" | "jobs" => JobRef::parse(&owner).map_err(|_| no_job)?,
        _ => return Err(FORM),
    };
    let path = decoded(path)?.into_owned();
    if path.is_empty() {
        return Err(FORM);
    }
    Ok(FileUri { job, path, offset })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use supervisor_tools::JobRef;

    use super::{FileUri, of_file, parse};

    #[test]
    fn a_uri_names_a_file_of_a_worker_or_a_job() {
        let file = |job: &str, path: &str, offset| FileUri {
            job: JobRef::parse(job).unwrap(),
            path: path.to_owned(),
            offset,
        };
        for (uri, expected) in [
            (
                "triscope://workers/2025-12-15T04-08-08_a/tool_calls/001_x.txt",
                file("2025-12-15T04-08-08_a", "tool_calls/001_x.txt", 0),
            ),
            (
                "triscope://jobs/7/result.txt?offset=12",
                file("7", "result.txt", 12),
            ),
            ("triscope://jobs/7/a%20b%3F", file("7", "a b?", 0)),
            // Refused by whoever opens it.
            ("triscope://jobs/7/%2e%2e/x", file("7", "../x", 0)),
        ] {
            assert_eq!(parse(uri).as_ref(), Ok(&expected), "{uri}");
        }
    }

    #[test]
    fn other_uris_are_refused() {
        for uri in [
            "",
            "file:///etc/passwd",
            "triscope://",
            "triscope://workers",
            "triscope://workers/a",
            "triscope://workers/a/",
            "triscope://workers//x",
            "triscope://workers/7/x",
            "triscope://jobs/a/x",
            "triscope://jobs/0/x",
            "triscope://jobs/99999999999999999999/x",
            "triscope://others/1/x",
            "triscope://workers/%2e%2e/x",
            "triscope://workers/a%2fb/x",
            "triscope://workers/%ff/x",
            "triscope://jobs/1/x?offset=-1",
            "triscope://jobs/1/x?offset=1&b=2",
            "triscope://jobs/1/x?",
            &format!("triscope://jobs/1/{}", "x".repeat(20_000)),
        ] {
            assert!(parse(uri).is_err(), "{uri}");
        }
    }

    proptest! {
        #[test]
        fn every_file_is_found_by_its_uri(id in "[A-Za-z_][^/\0]{0,20}", path in "[^\0]{1,40}") {
            let parsed = parse(&of_file(&id, &path)).unwrap();
            prop_assert_eq!(parsed.job, JobRef::Worker(id.as_str().into()));
            prop_assert_eq!(parsed.path, path);
        }

        #[test]
        fn any_text_is_a_uri_or_an_error(text in ".*") {
            let _ = parse(&text);
        }
    }
}
