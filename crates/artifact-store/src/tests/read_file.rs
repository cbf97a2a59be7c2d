//! Reading a file part by part.

use std::{
    fs::{self, File},
    io::Write as _,
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use proptest::prelude::*;

use super::support::{SetOnDrop, TestStore};
use crate::{FilePart, MAX_READ_BYTES, WorkerReader};

fn worker_with(content: impl AsRef<[u8]>) -> (TestStore, WorkerReader) {
    let it = TestStore::new();
    let (writer, reader) = it.pair();
    fs::write(writer.dir().join("file"), content).unwrap();
    (it, reader)
}

fn part(reader: &WorkerReader, offset: u64, max_bytes: usize) -> FilePart {
    reader.read_file("file", offset, max_bytes).unwrap()
}

/// All parts one after the other, as a reader goes on.
fn parts(reader: &WorkerReader, max_bytes: usize) -> Vec<String> {
    let (mut parts, mut offset) = (Vec::new(), 0);
    loop {
        let part = part(reader, offset, max_bytes);
        assert_eq!(part.offset, offset);
        let is_cut = part.is_cut();
        assert!(!is_cut || part.next_offset > offset, "no way on: {part:?}");
        offset = part.next_offset;
        parts.push(part.text);
        if !is_cut {
            return parts;
        }
    }
}

#[test]
fn parts_end_where_lines_do() {
    let (_it, reader) = worker_with("one\ntwo\nthree\n");
    assert_eq!(parts(&reader, 9), ["one\ntwo\n", "three\n"]);
    assert_eq!(parts(&reader, 8), ["one\ntwo\n", "three\n"]);
    assert_eq!(parts(&reader, 7), ["one\n", "two\n", "three\n"]);
    assert_eq!(parts(&reader, 14), ["one\ntwo\nthree\n"]);
    let first = part(&reader, 0, 9);
    assert_eq!((first.next_offset, first.total_bytes), (8, 14));
    let last = part(&reader, 8, 9);
    assert_eq!((last.next_offset, last.total_bytes), (14, 14));
    assert!(first.is_cut() && !last.is_cut());
}

#[test]
fn a_longer_line_is_cut_behind_a_whole_character() {
    for (line, max_bytes, expected) in [
        ("äääää", 5, vec!["ää", "ää", "ä"]),
        ("a€€€", 6, vec!["a€", "€€"]),
        ("€€€€", 7, vec!["€€", "€€"]),
        ("€€€€", 8, vec!["€€", "€€"]),
        ("a😀😀", 8, vec!["a😀", "😀"]),
        ("ab😀😀", 5, vec!["ab", "😀", "😀"]),
        // No part is smaller than a character.
        ("😀😀", 0, vec!["😀", "😀"]),
        ("😀😀", 1, vec!["😀", "😀"]),
        ("a😀b", 3, vec!["a", "😀", "b"]),
    ] {
        let (_it, reader) = worker_with(line);
        assert_eq!(parts(&reader, max_bytes), expected, "{line} {max_bytes}");
    }
}

#[test]
fn bytes_that_are_no_text_are_replaced_and_do_not_stop_reading() {
    for content in [
        &b"\xff\xff\xff\xff\xff\xff\xff\xff\xff"[..],
        b"\x80\x80\x80\x80\x80\x80\x80\x80\x80",
        b"\xf0\xf0\xf0\xf0\xf0\xf0\xf0",
        b"ab\xf0\x9f",
        b"\0\0\0\0\0\0\0",
    ] {
        let (_it, reader) = worker_with(content);
        for max_bytes in 1..12 {
            let whole = parts(&reader, max_bytes).concat();
            assert!(whole.chars().count() <= content.len());
            assert!(!whole.is_empty());
        }
    }
}

#[test]
fn beyond_the_end_there_is_nothing_at_any_offset() {
    let (_it, reader) = worker_with("one\n");
    for offset in [
        4,
        5,
        1 << 40,
        i64::MAX as u64 - 1,
        i64::MAX as u64,
        i64::MAX as u64 + 1,
        u64::MAX - 1,
        u64::MAX,
    ] {
        let part = part(&reader, offset, 100);
        assert_eq!(part.text, "");
        assert_eq!((part.offset, part.next_offset), (offset, offset));
        assert_eq!(part.total_bytes, 4, "the size is said as it is");
        assert!(!part.is_cut());
    }
    let (_it, reader) = worker_with("");
    let part = part(&reader, 0, 100);
    assert_eq!((part.text.as_str(), part.is_cut()), ("", false));
}

#[test]
fn one_read_gives_a_mebibyte_at_most() {
    let line = "x".repeat(99) + "\n";
    let (_it, reader) = worker_with(line.repeat(30_000));
    let first = part(&reader, 0, usize::MAX);
    assert_eq!(first.text.len(), MAX_READ_BYTES / 100 * 100);
    assert_eq!(first.next_offset, first.text.len() as u64);
    assert_eq!(first.total_bytes, 3_000_000);
    assert_eq!(parts(&reader, usize::MAX).len(), 3);
    let (_it, reader) = worker_with("x".repeat(3 << 20));
    assert_eq!(part(&reader, 5, usize::MAX).text.len(), MAX_READ_BYTES);
}

#[test]
fn a_growing_file_is_read_without_a_gap() {
    let (it, reader) = worker_with("");
    let path = reader.path().join("file");
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut file = File::options().append(true).open(&path).unwrap();
            for n in 0..5000 {
                writeln!(file, "{n}").unwrap();
            }
            is_over.store(true, Ordering::SeqCst);
        });
        let (mut text, mut offset) = (String::new(), 0);
        loop {
            let was_over = is_over.load(Ordering::SeqCst);
            let part = part(&reader, offset, 500);
            let (is_cut, is_empty) = (part.is_cut(), part.text.is_empty());
            assert!(!is_cut || !is_empty);
            offset = part.next_offset;
            text.push_str(&part.text);
            if was_over && !is_cut {
                break;
            }
        }
        let lines: Vec<usize> = text.lines().map(|it| it.parse().unwrap()).collect();
        assert_eq!(lines, (0..5000).collect::<Vec<_>>());
    });
    drop(it);
}

#[test]
fn a_file_that_shrinks_and_grows_while_it_is_read_does_no_harm() {
    let (it, reader) = worker_with("");
    let path = reader.path().join("file");
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut file = File::options().append(true).open(&path).unwrap();
            while !is_over.load(Ordering::SeqCst) {
                file.write_all(&[b'x'; 3000]).unwrap();
                file.set_len(7).unwrap();
            }
        });
        let _over_at_last = SetOnDrop(&is_over);
        for n in 0..5000 {
            let offset = n % 4000;
            let part = part(&reader, offset, 2000);
            // A read in the moment of the cut may see zeros where the file is being emptied.
            assert!(part.text.bytes().all(|it| matches!(it, b'x' | 0)));
            assert_eq!(part.next_offset, offset + part.text.len() as u64);
        }
    });
    drop(it);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn the_parts_of_any_text_make_the_whole(text in "[a-cäß€😀\n]{0,60}", max_bytes in 4_usize..40) {
        let (_it, reader) = worker_with(&text);
        let parts = parts(&reader, max_bytes);
        prop_assert!(parts.iter().all(|it| it.len() <= max_bytes));
        prop_assert_eq!(parts.concat(), text);
    }
}
