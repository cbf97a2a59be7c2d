//! Sections that compete for a budget of tokens.

use crate::tokens;

/// What stands where something had to be left out.
const LEFT_OUT: &str = "[more with a larger max_tokens]";

/// A head and what it counts up.
#[derive(Debug, Default)]
pub(super) struct Section {
    head: Option<String>,
    entries: Vec<String>,
    /// Of how many things the entries are the first.
    total: u64,
    /// How many entries the head is shown with at least.
    least: usize,
}

impl Section {
    pub(super) fn line(head: Option<String>) -> Self {
        Self {
            head,
            ..Self::default()
        }
    }

    pub(super) fn list(head: Option<String>, entries: Vec<String>, total: u64) -> Self {
        Self {
            head,
            entries,
            total,
            least: 0,
        }
    }

    /// A list whose head says nothing without an entry.
    pub(super) fn entries(head: &str, entries: Vec<String>) -> Self {
        Self {
            head: (!entries.is_empty()).then(|| head.to_owned()),
            total: entries.len() as u64,
            least: 1,
            entries,
        }
    }
}

/// The sections in the order in which they are shown.
#[derive(Debug)]
pub(super) struct Page {
    title: String,
    sections: Vec<Placed>,
}

#[derive(Debug)]
struct Placed {
    /// The lower it is, the longer it stays.
    rank: usize,
    section: Section,
    /// Whether the head is shown, and how many entries.
    is_shown: bool,
    n_shown: usize,
}

impl Page {
    pub(super) fn new(title: String) -> Self {
        Self {
            title,
            sections: Vec::new(),
        }
    }

    /// Adds a section; one without a head is none.
    pub(super) fn add(&mut self, rank: usize, section: Section) {
        if section.head.is_some() {
            self.sections.push(Placed {
                rank,
                n_shown: section.least,
                section,
                is_shown: false,
            });
        }
    }

    /// As much of the sections as `max_tokens` has room for: heads before what they count up, of that the first entries of
    /// each before the second ones.
    pub(super) fn text(mut self, max_tokens: usize) -> String {
        let mut by_rank: Vec<_> = (0..self.sections.len()).collect();
        by_rank.sort_by_key(|it| self.sections[*it].rank);
        for index in &by_rank {
            self.sections[*index].is_shown = true;
            if tokens::at_most(&self.render()) > max_tokens {
                self.sections[*index].is_shown = false;
            }
        }
        // Sections that have room for one more entry.
        let mut growing = by_rank;
        growing.retain(|it| self.sections[*it].is_shown);
        while !growing.is_empty() {
            growing.retain(|it| {
                let placed = &mut self.sections[*it];
                if placed.n_shown == placed.section.entries.len() {
                    return false;
                }
                placed.n_shown += 1;
                let fits = tokens::at_most(&self.render()) <= max_tokens;
                if !fits {
                    self.sections[*it].n_shown -= 1;
                }
                fits
            });
        }
        self.render()
    }

    fn render(&self) -> String {
        let mut text = format!("{}\n\n", self.title);
        let mut is_whole = true;
        let mut line = |it: &str| {
            text.push_str(it);
            text.push('\n');
        };
        for placed in &self.sections {
            is_whole &= placed.is_shown && placed.n_shown == placed.section.entries.len();
            if !placed.is_shown {
                continue;
            }
            let section = &placed.section;
            section.head.iter().for_each(|it| line(it));
            section.entries[..placed.n_shown]
                .iter()
                .for_each(|it| line(it));
            let more = section.total - placed.n_shown as u64;
            if more > 0 && placed.n_shown > 0 {
                line(&format!("- and {more} more"));
            }
        }
        if !is_whole {
            line(LEFT_OUT);
        }
        text
    }
}
