//! Values, and where an expression without one goes wrong.

use std::{
    fmt::Write as _,
    time::{Duration, Instant},
};

use proptest::prelude::*;
use serde_json::json;
use worker_runner::{Tool, ToolError};

use super::{Calculate, decimal, expression::evaluate};

fn value(expression: &str) -> String {
    decimal::text(&evaluate(expression).unwrap())
}

fn problem(expression: &str) -> String {
    evaluate(expression).unwrap_err().to_string()
}

#[test]
fn values_are_exact_where_a_decimal_can_be() {
    for (expression, expected) in [
        ("7*6", "42"),
        ("0.1+0.2", "0.3"),
        ("1/3*3", "1"),
        ("1/8", "0.125"),
        ("-1/8", "-0.125"),
        ("1.50", "1.5"),
        ("100/10", "10"),
        (".5 + 1.", "1.5"),
        ("1e3 + 2.5E-1", "1000.25"),
        ("1e-20*1e-20", "0.0000000000000000000000000000000000000001"),
        ("2^100", "1267650600228229401496703205376"),
        ("0", "0"),
        ("-0", "0"),
    ] {
        assert_eq!(value(expression), expected, "{expression}");
    }
}

#[test]
fn other_values_are_rounded_and_say_so() {
    for (expression, expected) in [
        ("1/3", "0.3333333333333333333333333333 (rounded)"),
        ("-2/3", "-0.6666666666666666666666666667 (rounded)"),
        ("200/3", "66.66666666666666666666666667 (rounded)"),
        ("10^30/7", "142857142857142857142857142900 (rounded)"),
        ("1-1/3/10^40", "1 (rounded)"),
        ("10^-40/3", "3.333333333333333333333333333e-41 (rounded)"),
        ("2^-200", "6.223015277861141707144064054e-61 (rounded)"),
    ] {
        assert_eq!(value(expression), expected, "{expression}");
    }
}

#[test]
fn operators_bind_as_in_mathematics() {
    for (expression, expected) in [
        ("2+3*4", "14"),
        ("(2+3)*4", "20"),
        ("2-3-4", "-5"),
        ("64/4/2", "8"),
        ("2^3^2", "512"),
        ("-2^2", "-4"),
        ("(-2)^2", "4"),
        ("2^-1", "0.5"),
        ("2*-3", "-6"),
        ("--3", "3"),
        ("+3", "3"),
        ("2--3", "5"),
        ("7%3", "1"),
        ("-7 % 3", "-1"),
        ("5.5 % 2", "1.5"),
        ("7 × 6 ÷ 2 − 1", "20"),
        ("0^0", "1"),
        ("(-1)^1000000000000000000001", "-1"),
    ] {
        assert_eq!(value(expression), expected, "{expression}");
    }
}

#[test]
fn an_error_names_the_character() {
    for (expression, expected) in [
        ("", "expected a number, found the end at character 1"),
        ("1+", "expected a number, found the end at character 3"),
        ("1/0", "division by zero at character 2"),
        ("5%(2-2)", "division by zero at character 2"),
        ("0^-1", "division by zero at character 2"),
        (
            "2^0.5",
            "the exponent must be a whole number at character 2",
        ),
        ("2 plus 3", "expected an operator, found 'p' at character 3"),
        ("é+1", "expected a number, found 'é' at character 1"),
        ("1+\u{0}", "expected a number, found '\\0' at character 3"),
        ("1 2", "expected an operator, found '2' at character 3"),
        ("2(3)", "expected an operator, found '(' at character 2"),
        ("()", "expected a number, found ')' at character 2"),
        ("(1+2", "`(` is never closed at character 1"),
        ("1+2)", "`)` without `(` at character 4"),
        (".", "expected a number, found '.' at character 1"),
        ("1e", "expected an operator, found 'e' at character 2"),
        ("1,000", "expected an operator, found ',' at character 2"),
    ] {
        assert_eq!(problem(expression), expected, "{expression}");
    }
}

#[test]
fn what_grows_too_large_overflows() {
    let overflow = "overflow: a number of more than about 308 digits";
    for (expression, position) in [
        ("10^309", 3),
        ("9^9^9^9", 4),
        ("2^99999999999", 2),
        ("1e999999999999", 1),
        ("1e-400", 1),
        ("10^300*10^300", 7),
    ] {
        assert_eq!(
            problem(expression),
            format!("{overflow} at character {position}")
        );
    }
    assert!(problem(&"9".repeat(4000)).starts_with(overflow));
}

#[test]
fn a_megabyte_of_anything_ends_soon() {
    let started = Instant::now();
    for unit in ["(", "-", "1+", "(1", "2^", "1/3+", "9", " "] {
        assert!(
            problem(&unit.repeat(1 << 20)).contains(" at character "),
            "{unit}"
        );
    }
    // The worst that fits: fractions that share nothing and have to be reduced again and again.
    let mut fractions = String::new();
    for it in 0..580 {
        write!(fractions, "1/{}+", 1001 + 2 * (it % 90)).unwrap();
    }
    let _ = evaluate(&(fractions + "0"));
    assert!(started.elapsed() < Duration::from_secs(20));
}

#[tokio::test]
async fn the_tool_answers_or_says_what_to_mend() {
    let tool = Calculate::new();
    assert_eq!(
        tool.call(json!({"expression": "7*6"})).await,
        Ok("42".to_owned())
    );
    assert_eq!(
        tool.call(json!({"expression": "1/0"})).await,
        Err(ToolError::BadArguments(
            "division by zero at character 2".to_owned()
        ))
    );
}

proptest! {
    #[test]
    fn any_text_has_a_value_or_an_error(text in ".*") {
        if let Ok(value) = evaluate(&text) {
            decimal::text(&value);
        }
    }

    #[test]
    fn anything_like_arithmetic_has_a_value_or_an_error(text in r"[0-9.()*/%^+e -]{0,40}") {
        if let Ok(value) = evaluate(&text) {
            decimal::text(&value);
        }
    }

    #[test]
    fn whole_numbers_agree_with_the_machine(a in any::<i32>(), b in any::<i32>(), c in 1..i32::MAX) {
        let (left, right, divisor) = (i128::from(a), i128::from(b), i128::from(c));
        let expected = left * right - (left - right) % divisor;
        prop_assert_eq!(value(&format!("{a}*{b}-({a}-{b})%{c}")), expected.to_string());
    }
}
