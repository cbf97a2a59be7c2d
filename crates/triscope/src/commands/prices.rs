//! `triscope prices`: what a model costs, and where the prices come from.

use std::{collections::BTreeMap, path::Path};

use comfy_table::{Table, presets};
use metrics_core::{Clock, Timestamp};
use model_prices::{Price, PriceSet, PriceTable, Priced, Source, TableError};
use serde::Serialize;
use supervisor_tools::one_line;

use crate::{
    cli::{Common, Prices},
    exit::Exit,
    output,
};

/// Models that are named where the one asked for is not there.
const SIMILAR: usize = 5;

/// The program's prices, with those of the user's file before them.
pub(crate) fn table(file: Option<&Path>) -> Result<PriceTable, TableError> {
    file.map_or_else(|| Ok(PriceTable::builtin()), PriceTable::from_file)
}

pub(crate) fn prices(common: &Common, arguments: &Prices) -> Exit {
    let table = match table(common.prices.as_deref()) {
        Ok(table) => table,
        Err(error) => return output::fail(Exit::Usage, &error.into()),
    };
    let provider = arguments.provider.as_deref();
    match &arguments.model {
        Some(model) => one(&table, provider, model, arguments.json),
        None => many(&table, provider, arguments.json),
    }
}

/// One model with all its prices.
fn one(table: &PriceTable, provider: Option<&str>, model: &str, as_json: bool) -> Exit {
    let priced = match table.find(provider, model) {
        Ok(priced) => priced,
        Err(why) => {
            let at = provider.map(|it| format!(" of `{}`", one_line(it)));
            let model = one_line(model);
            output::note(&format!(
                "error: no price of `{model}`{}: {why}\n{}",
                at.unwrap_or_default(),
                hint(table, &model)
            ));
            return Exit::JobFailed;
        }
    };
    if as_json {
        output::print_json(&Object::from(&priced));
    } else {
        output::print(&text(&priced));
    }
    Exit::Done
}

fn hint(table: &PriceTable, model: &str) -> String {
    let mut similar: Vec<_> = table.models(model).collect();
    // Those of the very name first.
    similar.sort_by_key(|it| it.model_id() != model);
    let names: Vec<_> = similar
        .iter()
        .take(SIMILAR)
        .map(|it| format!("{} of {}", it.model_id(), it.provider_id()))
        .collect();
    let more = match similar.len() - names.len() {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    if names.is_empty() || model.is_empty() {
        "hint: give its price in a file of your own; see `triscope prices --help`".to_owned()
    } else {
        format!(
            "hint: name its provider with --provider; there are {}{more}",
            names.join(", ")
        )
    }
}

/// The providers, or the models of one.
fn many(table: &PriceTable, provider: Option<&str>, as_json: bool) -> Exit {
    let wanted = provider.map(|it| it.trim().to_lowercase());
    let models: Vec<_> = table
        .models("")
        .filter(|it| {
            wanted
                .as_ref()
                .is_none_or(|wanted| it.provider_id() == wanted)
        })
        .collect();
    if let (Some(provider), true) = (provider, models.is_empty()) {
        output::note(&format!(
            "error: no prices of `{}` are known\nhint: `triscope prices` lists the providers; for a file of your own see `triscope prices --help`",
            one_line(provider)
        ));
        return Exit::JobFailed;
    }
    if as_json {
        output::print_json(&ListObject {
            sources: table.sources().map(Into::into).collect(),
            models: models.iter().map(Into::into).collect(),
        });
        return Exit::Done;
    }
    let list = if wanted.is_some() {
        models_table(&models)
    } else {
        providers_table(&models)
    };
    let sources: Vec<_> = table.sources().map(source_text).collect();
    output::print(&format!("{list}\n\n{}", sources.join("\n")));
    Exit::Done
}

fn providers_table(models: &[Priced<'_>]) -> String {
    let mut counts = BTreeMap::new();
    for it in models {
        *counts
            .entry((it.provider_id(), it.provider_name()))
            .or_insert(0) += 1;
    }
    let rows = counts
        .iter()
        .map(|((id, name), n)| vec![one_line(id), one_line(name), n.to_string()]);
    columns(&["PROVIDER", "NAME", "MODELS"], rows)
}

fn models_table(models: &[Priced<'_>]) -> String {
    let now = now();
    let rows = models.iter().filter_map(|it| {
        let mut row = vec![one_line(it.model_id())];
        row.extend(cells(it.prices_at(now)?));
        Some(row)
    });
    columns(
        &[
            "MODEL",
            "INPUT",
            "CACHED",
            "CACHE WRITE",
            "OUTPUT",
            "REASONING",
            "1000 CALLS",
        ],
        rows,
    )
}

fn text(priced: &Priced<'_>) -> String {
    let now = priced.prices_at(now());
    let rows = priced.prices().iter().map(|it| {
        let from = it.from.map(day);
        let hours = it.hours.map(|it| it.to_string());
        let holds = if now.is_some_and(|now| std::ptr::eq(now, it)) {
            "now"
        } else {
            ""
        };
        let mut row = vec![
            holds.to_owned(),
            from.unwrap_or_default(),
            hours.unwrap_or_default(),
        ];
        row.extend(cells(it));
        row
    });
    let header = [
        "",
        "FROM",
        "HOURS",
        "INPUT",
        "CACHED",
        "CACHE WRITE",
        "OUTPUT",
        "REASONING",
        "1000 CALLS",
    ];
    format!(
        "{} of {}: dollars for a million tokens\n\n{}\n\n{}",
        named(priced.model_id(), priced.model_name()),
        named(priced.provider_id(), priced.provider_name()),
        columns(&header, rows),
        source_text(priced.source())
    )
}

/// `gpt-5-mini (GPT-5 mini)`, or the id alone where there is no other name.
fn named(id: &str, name: &str) -> String {
    let (id, name) = (one_line(id), one_line(name));
    if id == name {
        id
    } else {
        format!("{id} ({name})")
    }
}

fn cells(prices: &PriceSet) -> [String; 6] {
    let all = [
        &prices.input,
        &prices.cached,
        &prices.cache_write,
        &prices.output,
        &prices.reasoning,
        &prices.requests,
    ];
    all.map(|it| it.as_ref().map(price_text).unwrap_or_default())
}

/// `1.25`, or `1.25, 2.5 above 200000` where a long prompt costs more.
fn price_text(price: &Price) -> String {
    let above = price
        .above()
        .map(|(start, price)| format!(", {} above {start}", price.to_decimal()));
    price.base().to_decimal().to_string() + &above.collect::<String>()
}

/// A table of the columns that hold anything.
fn columns(header: &[&str], rows: impl Iterator<Item = Vec<String>>) -> String {
    let rows: Vec<_> = rows.collect();
    let used: Vec<_> = (0..header.len())
        .filter(|at| rows.iter().any(|row| !row[*at].is_empty()))
        .collect();
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_header(used.iter().map(|at| header[*at]));
    for row in &rows {
        table.add_row(used.iter().map(|at| &row[*at]));
    }
    let text = table.to_string();
    let lines: Vec<_> = text.lines().map(str::trim_end).collect();
    lines.join("\n")
}

/// `Prices: genai-prices 0.2.3, taken 2026-11-24 (MIT)`, as far as the source says.
fn source_text(source: &Source) -> String {
    let part = |before: &str, text: &str, after: &str| match text {
        "" => String::new(),
        text => format!("{before}{}{after}", one_line(text)),
    };
    part("Prices: ", &source.name, "")
        + &part(" ", &source.version, "")
        + &part(", taken ", &source.date, "")
        + &part(" (", &source.license, ")")
}

/// A model for programs.
#[derive(Serialize)]
struct Object<'a> {
    provider: &'a str,
    model: &'a str,
    name: &'a str,
    /// What holds at this moment.
    now: Option<&'a PriceSet>,
    prices: &'a [PriceSet],
    source: SourceObject<'a>,
}

#[derive(Serialize)]
struct SourceObject<'a> {
    name: &'a str,
    version: &'a str,
    date: &'a str,
    license: &'a str,
}

#[derive(Serialize)]
struct ListObject<'a> {
    sources: Vec<SourceObject<'a>>,
    models: Vec<Object<'a>>,
}

impl<'a> From<&Priced<'a>> for Object<'a> {
    fn from(it: &Priced<'a>) -> Self {
        Self {
            provider: it.provider_id(),
            model: it.model_id(),
            name: it.model_name(),
            now: it.prices_at(now()),
            prices: it.prices(),
            source: it.source().into(),
        }
    }
}

impl<'a> From<&'a Source> for SourceObject<'a> {
    fn from(it: &'a Source) -> Self {
        Self {
            name: &it.name,
            version: &it.version,
            date: &it.date,
            license: &it.license,
        }
    }
}

fn now() -> Timestamp {
    Clock::system().start().timestamp()
}

/// The first ten characters of a time stamp.
fn day(at: Timestamp) -> String {
    at.to_string().chars().take(10).collect()
}
