//! Percentiles against sorted values.

use proptest::prelude::*;

use super::{Distribution, EXACT_UP_TO, SKETCH_ERROR, bucket_of, middle_of};

const PER_MILLE: [u64; 7] = [0, 1, 500, 950, 990, 999, 1000];

fn of(values: &[u64]) -> Distribution {
    let mut res = Distribution::default();
    for it in values {
        res.add(*it);
    }
    res
}

/// The nearest rank, by sorting.
fn expected(values: &[u64], per_mille: u64) -> u64 {
    let mut values = values.to_vec();
    values.sort_unstable();
    let rank = (values.len() * usize::try_from(per_mille).unwrap())
        .div_ceil(1000)
        .max(1);
    values[rank - 1]
}

#[expect(
    clippy::cast_precision_loss,
    reason = "compared with a bound that is no rounder"
)]
fn check(values: &[u64], distribution: &Distribution) {
    assert_eq!(distribution.count(), values.len() as u64);
    assert_eq!(
        distribution.sum(),
        values.iter().map(|it| u128::from(*it)).sum()
    );
    assert_eq!(distribution.min(), values.iter().min().copied());
    assert_eq!(distribution.max(), values.iter().max().copied());
    for per_mille in PER_MILLE {
        let (found, exact) = (
            distribution.percentile(per_mille).unwrap(),
            expected(values, per_mille),
        );
        if distribution.is_exact() {
            assert_eq!(found, exact, "{per_mille}");
        } else {
            let error = found.abs_diff(exact) as f64;
            assert!(
                error <= exact as f64 * SKETCH_ERROR,
                "{per_mille}: {found} for {exact}"
            );
        }
    }
    let steps = distribution.steps();
    assert_eq!(
        steps.iter().map(|it| it.1).sum::<u64>(),
        distribution.count()
    );
    assert!(steps.is_sorted_by(|one, other| one.0 < other.0));
}

/// Numbers of all sizes that look like chance.
fn numbers(n: u64) -> Vec<u64> {
    (0..n)
        .map(|it| it.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (it % 50))
        .collect()
}

#[test]
fn few_values_are_exact_and_many_are_within_the_bound() {
    let short = |n| {
        numbers(n)
            .into_iter()
            .map(|it| it >> 40)
            .collect::<Vec<_>>()
    };
    for (values, is_exact) in [
        (short(1), true),
        (short(2), true),
        (short(EXACT_UP_TO), true),
        (short(EXACT_UP_TO + 1), false),
        (numbers(50_000), false),
        // Too long to be kept, however few there are.
        (vec![1, 2, u64::MAX, u64::MAX - 1], false),
    ] {
        let distribution = of(&values);
        assert_eq!(distribution.is_exact(), is_exact, "{}", values.len());
        check(&values, &distribution);
    }
}

#[test]
fn nothing_has_no_percentile() {
    let empty = Distribution::default();
    assert_eq!(
        (
            empty.percentile(500),
            empty.min(),
            empty.max(),
            empty.mean()
        ),
        (None, None, None, None)
    );
}

#[test]
fn parts_make_the_same_whole_in_any_order() {
    let values = numbers(30_000);
    for cut in [0, 1, 9_999, 10_000, 15_000, 29_999] {
        let (one, other) = values.split_at(cut);
        for parts in [[one, other], [other, one]] {
            let mut merged = of(parts[0]);
            merged.merge(of(parts[1]));
            check(&values, &merged);
            assert_eq!(
                merged.percentiles(PER_MILLE),
                of(&values).percentiles(PER_MILLE)
            );
        }
    }
    // Two that are exact together stay so, and one more is too many.
    let few = |n| {
        of(&numbers(n)
            .into_iter()
            .map(|it| it >> 40)
            .collect::<Vec<_>>())
    };
    let mut both = few(EXACT_UP_TO / 2);
    both.merge(few(EXACT_UP_TO / 2));
    assert!(both.is_exact());
    both.merge(few(1));
    assert!(!both.is_exact());
}

proptest! {
    #[test]
    fn a_value_is_near_the_middle_of_its_bucket(value in any::<u64>(), shift in 0..64_u32) {
        let value = value >> shift;
        let middle = middle_of(bucket_of(value));
        prop_assert!(u128::from(middle.abs_diff(value)) * 512 <= u128::from(value), "{middle}");
        prop_assert!(bucket_of(value) <= bucket_of(value.saturating_add(1)));
    }
}
