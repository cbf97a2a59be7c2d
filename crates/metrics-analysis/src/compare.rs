//! What differs between two sets of calls, and whether that is more than noise.
//!
//! Durations are compared by ranks (Mann and Whitney's test, corrected for ties), as they are never normally distributed: the
//! effect is how much more often a call of the second set takes longer than one of the first than the other way round, from -1
//! to 1. Failures are compared as two proportions, costs of a call by their means (Welch's test), as means are what is paid. A
//! difference counts where chance alone would show one as large in less than 1 % of comparisons, all groups and all three
//! questions taken together, and where it is not negligible: of durations by their effect, of costs from 5 % on.

use model_prices::Usd;

use crate::{Cell, Column, Distribution, Group, Key, Stats, Table, stats::Spread};

/// How often chance alone may pass for a difference, in all that a comparison asks.
const CHANCE: f64 = 0.01;
/// Asked of each group: durations, failures, costs.
const QUESTIONS: usize = 3;
/// Smaller effects are called negligible (Romano and others, 2006).
const NEGLIGIBLE: f64 = 0.147;
/// Smaller changes of a mean cost are negligible.
const NEGLIGIBLE_COST: f64 = 0.05;
/// The approximations say nothing about fewer calls.
const FEW: u64 = 8;

/// The groups of two sets of calls side by side, those that changed most first.
pub fn compare(by: &[Key], before: Vec<Group>, after: Vec<Group>) -> Table {
    let mut pairs: std::collections::BTreeMap<Vec<Option<String>>, [Option<Group>; 2]> =
        std::collections::BTreeMap::new();
    for (at, groups) in [before, after].into_iter().enumerate() {
        for group in groups {
            let pair = pairs.entry(group.values.clone()).or_default();
            pair[at] = Some(group);
        }
    }
    #[expect(clippy::cast_precision_loss, reason = "there are few groups")]
    let chance = CHANCE / (QUESTIONS * pairs.len().max(1)) as f64;
    let mut rows: Vec<(f64, Vec<Cell>)> = pairs
        .into_iter()
        .map(|(keys, [before, after])| row(keys, before, after, chance))
        .collect();
    rows.sort_by(|one, other| other.0.total_cmp(&one.0));
    let column = |name, head| Column { name, head };
    let mut columns: Vec<_> = by
        .iter()
        .map(|it| column(it.as_str(), it.as_str()))
        .collect();
    columns.extend([
        column("count_before", "CALLS"),
        column("count_after", "THEN"),
        column("p50_ms_before", "P50"),
        column("p50_ms_after", "THEN"),
        column("p95_ms_before", "P95"),
        column("p95_ms_after", "THEN"),
        column("duration_effect", "EFFECT"),
        column("duration_p", ""),
        column("failures_before", "FAILED"),
        column("failures_after", "THEN"),
        column("failures_p", ""),
        column("tokens_per_call_before", "TOKENS/CALL"),
        column("tokens_per_call_after", "THEN"),
        column("cost_usd_per_call_before", "COST/CALL"),
        column("cost_usd_per_call_after", "THEN"),
        column("cost_p", ""),
        column("verdict", "VERDICT"),
    ]);
    Table {
        columns,
        rows: rows.into_iter().map(|it| it.1).collect(),
    }
}

/// How much changed, for the order, and the row.
fn row(
    keys: Vec<Option<String>>,
    before: Option<Group>,
    after: Option<Group>,
    chance: f64,
) -> (f64, Vec<Cell>) {
    let [before, after] = [before, after].map(|it| it.map(|it| it.stats).unwrap_or_default());
    let counts = [before.count(), after.count()];
    let enough = counts.iter().all(|it| *it >= FEW);
    let ranks = enough.then(|| by_ranks(&before.duration_ms, &after.duration_ms));
    let failures = enough.then(|| by_proportion([before.failures, after.failures], counts));
    let all_known = [&before, &after].iter().all(|it| it.costs.count() >= FEW);
    let costs = all_known.then(|| by_mean(&before.costs, &after.costs));
    let mut verdict = Vec::new();
    if let Some(Difference { effect, p }) = ranks
        && p < chance
        && effect.abs() >= NEGLIGIBLE
    {
        verdict.push(if effect > 0.0 { "slower" } else { "faster" });
    }
    if let Some(Difference { effect, p }) = failures
        && p < chance
    {
        verdict.push(if effect > 0.0 {
            "less reliable"
        } else {
            "more reliable"
        });
    }
    if let Some(Difference { effect, p }) = costs
        && p < chance
        && effect.abs() >= NEGLIGIBLE_COST
    {
        verdict.push(if effect > 0.0 { "dearer" } else { "cheaper" });
    }
    let size = ranks.map_or(0.0, |it| it.effect.abs());
    let weight = if verdict.is_empty() {
        size
    } else {
        10.0 + size
    };
    let verdict = match (counts, enough) {
        ([0, _], _) => "new".to_owned(),
        ([_, 0], _) => "gone".to_owned(),
        (_, false) => "too few calls".to_owned(),
        _ if verdict.is_empty() => "no difference".to_owned(),
        _ => verdict.join(", "),
    };
    let p50 = |it: &Distribution| Cell::whole(it.percentile(500));
    let p95 = |it: &Distribution| Cell::whole(it.percentile(950));
    let mut cells: Vec<_> = keys.into_iter().map(Cell::text).collect();
    cells.extend([
        Cell::Whole(counts[0].into()),
        Cell::Whole(counts[1].into()),
        p50(&before.duration_ms),
        p50(&after.duration_ms),
        p95(&before.duration_ms),
        p95(&after.duration_ms),
        Cell::real(ranks.map(|it| it.effect)),
        Cell::real(ranks.map(|it| it.p)),
        Cell::Whole(before.failures.into()),
        Cell::Whole(after.failures.into()),
        Cell::real(failures.map(|it| it.p)),
        Cell::real(per_call(before.tokens.total_tokens, counts[0])),
        Cell::real(per_call(after.tokens.total_tokens, counts[1])),
        cost_per_call(&before),
        cost_per_call(&after),
        Cell::real(costs.map(|it| it.p)),
        Cell::Text(verdict),
    ]);
    (weight, cells)
}

#[expect(clippy::cast_precision_loss, reason = "a mean is rounded anyway")]
fn per_call(tokens: Option<u128>, count: u64) -> Option<f64> {
    tokens.map(|it| it as f64 / count.max(1) as f64)
}

/// The mean of the calls whose cost is known.
fn cost_per_call(stats: &Stats) -> Cell {
    match stats.cost.known() {
        None => Cell::cost(&stats.cost),
        Some(known) => {
            let count = i128::from(stats.costs.count().max(1));
            Cell::Cost {
                known: Some(Usd::from_units(known.units() / count)),
                is_complete: true,
            }
        }
    }
}

/// How large a difference is, and how often chance alone shows one as large.
#[derive(Debug, Clone, Copy)]
struct Difference {
    effect: f64,
    p: f64,
}

#[expect(
    clippy::cast_precision_loss,
    reason = "these are approximations anyway"
)]
fn by_ranks(before: &Distribution, after: &Distribution) -> Difference {
    let both_exact = before.is_exact() && after.is_exact();
    let [one, other] = [before, after].map(|it| if both_exact { it.steps() } else { it.buckets() });
    let (n_one, n_other) = (before.count() as f64, after.count() as f64);
    // Pairs in which the second is larger, ties counted half; and the ties' part of the variance.
    let (mut larger, mut ties, mut below) = (0.0, 0.0, 0.0);
    let (mut one, mut other) = (one.into_iter().peekable(), other.into_iter().peekable());
    loop {
        let value = match (one.peek(), other.peek()) {
            (None, None) => break,
            (Some(a), None) => a.0,
            (None, Some(b)) => b.0,
            (Some(a), Some(b)) => a.0.min(b.0),
        };
        let count = |it: Option<(u64, u64)>| it.map_or(0.0, |it| it.1 as f64);
        let in_one = count(one.next_if(|it| it.0 == value));
        let in_other = count(other.next_if(|it| it.0 == value));
        larger += in_other * (below + in_one / 2.0);
        below += in_one;
        let equal = in_one + in_other;
        ties += equal * (equal * equal - 1.0);
    }
    let n = n_one + n_other;
    let pairs = n_one * n_other;
    let variance = pairs / 12.0 * (n + 1.0 - ties / (n * (n - 1.0)));
    let p = if variance > 0.0 {
        two_sided((larger - pairs / 2.0) / variance.sqrt())
    } else {
        1.0
    };
    Difference {
        effect: 2.0 * larger / pairs - 1.0,
        p,
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "these are approximations anyway"
)]
fn by_proportion(failures: [u64; 2], counts: [u64; 2]) -> Difference {
    let [f1, f2] = failures.map(|it| it as f64);
    let [n1, n2] = counts.map(|it| it as f64);
    let pooled = (f1 + f2) / (n1 + n2);
    let variance = pooled * (1.0 - pooled) * (1.0 / n1 + 1.0 / n2);
    let effect = f2 / n2 - f1 / n1;
    let p = if variance > 0.0 {
        two_sided(effect / variance.sqrt())
    } else {
        1.0
    };
    Difference { effect, p }
}

/// The effect is the change as a part of the first mean.
fn by_mean(before: &Spread, after: &Spread) -> Difference {
    let [(m1, v1), (m2, v2)] = [before, after].map(Spread::mean_and_variance);
    #[expect(
        clippy::cast_precision_loss,
        reason = "these are approximations anyway"
    )]
    let variance = v1 / before.count() as f64 + v2 / after.count() as f64;
    let change = m2 - m1;
    let p = if change == 0.0 {
        1.0
    } else {
        two_sided(change / variance.sqrt()) // Where all calls of a set cost the same, infinitely far.
    };
    Difference {
        effect: change / m1.abs(),
        p,
    }
}

/// How often a normal variable is at least so far from its mean: `erfc(|z| / √2)`, within 1.2e-7 (Numerical Recipes).
fn two_sided(z: f64) -> f64 {
    const TERMS: [f64; 10] = [
        0.170_872_77,
        -0.822_152_23,
        1.488_515_87,
        -1.135_203_98,
        0.278_868_07,
        -0.186_288_06,
        0.096_784_18,
        0.374_091_96,
        1.000_023_68,
        -1.265_512_23,
    ];
    let x = z.abs() / std::f64::consts::SQRT_2;
    let t = 1.0 / (1.0 + x / 2.0);
    let sum = TERMS.iter().fold(0.0, |sum, term| sum * t + term);
    (t * (sum - x * x).exp()).min(1.0)
}

#[cfg(test)]
mod tests {
    use model_prices::{Unpriced, Usd};

    use super::{by_proportion, by_ranks, compare, two_sided};
    use crate::{Cell, Distribution, Format, Group, Key, Kind, Record, Stats, Table};

    fn of(values: impl IntoIterator<Item = u64>) -> Distribution {
        let mut res = Distribution::default();
        for value in values {
            res.add(value);
        }
        res
    }

    fn is_near(one: f64, other: f64) -> bool {
        (one - other).abs() < 1e-4
    }

    #[test]
    fn known_values_come_out() {
        for (z, p) in [
            (0.0, 1.0),
            (1.0, 0.317_310_5),
            (-1.959_964, 0.05),
            (3.290_527, 0.001),
        ] {
            assert!(is_near(two_sided(z), p), "{z}");
        }
        // By hand: 75.5 of 100 pairs, a variance of 174.1 with seven ties, z = 1.933.
        let difference = by_ranks(&of(1..=10), &of(4..=13));
        assert!(is_near(difference.effect, 0.51), "{difference:?}");
        assert!(is_near(difference.p, 0.053_272), "{difference:?}");
        // By hand: z = 3.536.
        let difference = by_proportion([10, 30], [100, 100]);
        assert!(is_near(difference.p, 0.000_407), "{difference:?}");
        assert!(is_near(by_proportion([0, 0], [10, 10]).p, 1.0));
    }

    #[test]
    fn sets_of_any_size_are_compared_the_same_way() {
        let few = of(1000..1500);
        // So many that they are in buckets.
        let many = of((0..20_000).map(|it| 1000 + it % 500));
        assert!(!many.is_exact());
        let same = by_ranks(&few, &many);
        assert!(same.effect.abs() < 0.01 && same.p > 0.5, "{same:?}");
        let longer = by_ranks(&few, &of((0..20_000).map(|it| 1200 + it % 500)));
        assert!(longer.effect > 0.5 && longer.p < 1e-9, "{longer:?}");
        let equal = by_ranks(&of([5; 20]), &of([5; 30]));
        assert!(
            is_near(equal.effect, 0.0) && is_near(equal.p, 1.0),
            "{equal:?}"
        );
    }

    #[test]
    fn a_verdict_needs_more_than_noise() {
        let group = |name: &str, values: &[u64], failures: usize| {
            let mut stats = Stats::default();
            for (at, value) in values.iter().enumerate() {
                let mut record = Record::EMPTY;
                record.kind = Kind::ToolCall;
                record.duration_ms = *value;
                record.success = at >= failures;
                stats.add(&record);
            }
            Group {
                values: vec![Some(name.to_owned())],
                stats,
            }
        };
        let short: Vec<_> = (100..200).collect();
        let long: Vec<_> = (150..250).collect();
        let table = compare(
            &[Key::Tool],
            vec![
                group("same", &short, 1),
                group("slow", &short, 1),
                group("gone", &short, 1),
                group("few", &short, 1),
            ],
            vec![
                group("same", &short, 2),
                group("slow", &long, 40),
                group("new", &short, 1),
                group("few", &long[..5], 1),
            ],
        );
        let csv = table.render(Format::Csv);
        let verdicts: Vec<_> = csv
            .lines()
            .skip(1)
            .map(|it| {
                (
                    it.split(',').next().unwrap(),
                    it.splitn(18, ',').last().unwrap(),
                )
            })
            .collect();
        assert_eq!(
            verdicts,
            [
                ("slow", "\"slower, less reliable\""),
                ("few", "too few calls"),
                ("gone", "gone"),
                ("new", "new"),
                ("same", "no difference")
            ]
        );
    }

    #[test]
    fn a_call_is_dearer_where_its_mean_is_and_that_is_no_chance() {
        let group = |name: &str, costs: &mut dyn Iterator<Item = i128>| {
            let mut stats = Stats::default();
            for thousandths in costs {
                stats.add(&Record {
                    kind: Kind::LlmCall,
                    ..Record::EMPTY
                });
                let cost = Usd::from_units(thousandths * 10_i128.pow(21));
                let cost = (thousandths >= 0).then_some(cost);
                stats.add_cost(b"m", cost.ok_or(Unpriced::Model));
            }
            Group {
                values: vec![Some(name.to_owned())],
                stats,
            }
        };
        let about_ten = || 5..=15;
        let table = compare(
            &[Key::Model],
            vec![
                group("same", &mut about_ten()),
                group("dearer", &mut about_ten()),
                group("cheaper", &mut (20..=40)),
                group("a new price", &mut [10; 9].into_iter()),
                group("hardly", &mut [1000; 99].into_iter()),
                group("by chance", &mut [0, 1, 2, 3, 4, 5, 6, 90].into_iter()),
                group("unknown", &mut [-1; 20].into_iter()),
                group("few known", &mut (-20..=6).map(|it| it.min(1))),
            ],
            vec![
                group("same", &mut about_ten()),
                group("dearer", &mut (15..=25)),
                group("cheaper", &mut about_ten()),
                group("a new price", &mut [11; 9].into_iter()),
                group("hardly", &mut [1049; 99].into_iter()),
                group("by chance", &mut [0, 1, 2, 3, 4, 5, 6, 200].into_iter()),
                group("unknown", &mut [-1; 20].into_iter()),
                group("few known", &mut (-20..=6).map(|it| it.min(5))),
            ],
        );
        let at = |name| table.columns.iter().position(|it| it.name == name);
        let shown = [
            "model",
            "cost_usd_per_call_before",
            "cost_usd_per_call_after",
            "verdict",
        ];
        let shown: Vec<_> = shown.into_iter().filter_map(at).collect();
        let row = |row: &Vec<Cell>| shown.iter().map(|at| row[*at].clone()).collect();
        let few = Table {
            columns: shown.iter().map(|at| table.columns[*at].clone()).collect(),
            rows: table.rows.iter().map(row).collect(),
        };
        insta::assert_snapshot!(few.render(Format::Table), @r"
        model        COST/CALL     THEN  VERDICT
        a new price     $0.010   $0.011  dearer
        cheaper         $0.030   $0.010  cheaper
        dearer          $0.010   $0.020  dearer
        by chance       $0.014   $0.028  no difference
        few known     $0.00086  $0.0029  no difference
        hardly           $1.00    $1.05  no difference
        same            $0.010   $0.010  no difference
        unknown        unknown  unknown  no difference
        ");
    }
}
