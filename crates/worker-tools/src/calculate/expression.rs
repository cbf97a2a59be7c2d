//! Arithmetic on exact fractions: characters in, one value out.
//!
//! Two stacks rather than recursion, so that no nesting, however deep, needs more than the heap; and
//! limits on length and on the size of every number, so that no expression takes long.

use std::fmt;

use num::{
    BigInt, BigRational, Integer, One, Signed, ToPrimitive, Zero, bigint::Sign, traits::Pow,
};

/// The longest expression, in characters.
pub(super) const MAX_CHARS: usize = 4096;
/// The largest numerator or denominator, in bits: about 308 decimal digits.
const MAX_BITS: u64 = 1024;
/// The most digits of one written number, and the largest exponent after its `e`.
const MAX_DIGITS: usize = 320;

/// Where and why an expression has no value.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ExpressionError {
    /// The character at fault, counted from 1.
    position: usize,
    reason: String,
}

impl fmt::Display for ExpressionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at character {}", self.reason, self.position)
    }
}

/// The value of `expression`.
pub(super) fn evaluate(expression: &str) -> Result<BigRational, ExpressionError> {
    let chars: Vec<char> = expression.chars().take(MAX_CHARS + 1).collect();
    let mut stacks = Stacks::default();
    let mut operand_comes = true;
    let mut at = 0;
    while let Some(&it) = chars.get(at) {
        let position = at + 1;
        if position > MAX_CHARS {
            return Err(error(
                position,
                format!("the expression exceeds {MAX_CHARS} characters"),
            ));
        }
        at += 1;
        match (operand_comes, it) {
            (_, it) if it.is_whitespace() => {}
            (true, '0'..='9' | '.') => {
                let (value, end) = number(&chars, at - 1)?;
                stacks.values.push(value);
                operand_comes = false;
                at = end;
            }
            (true, '(') => stacks.operators.push((Operator::Open, position)),
            (true, '-' | '−') => stacks.operators.push((Operator::Negate, position)),
            (true, '+') => {}
            (true, it) => {
                return Err(error(position, format!("expected a number, found {it:?}")));
            }
            (false, ')') => stacks.close(position)?,
            (false, it) => {
                let operator = Operator::from_char(it).ok_or_else(|| {
                    error(position, format!("expected an operator, found {it:?}"))
                })?;
                stacks.operator(operator, position)?;
                operand_comes = true;
            }
        }
    }
    if operand_comes {
        return Err(error(chars.len() + 1, "expected a number, found the end"));
    }
    stacks.finish(chars.len() + 1)
}

/// What waits for its operands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Open,
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
    Negate,
    Power,
}

impl Operator {
    /// The operator that stands between two operands.
    fn from_char(it: char) -> Option<Self> {
        Some(match it {
            '+' => Self::Add,
            '-' | '−' => Self::Subtract,
            '*' | '×' => Self::Multiply,
            '/' | '÷' => Self::Divide,
            '%' => Self::Remainder,
            '^' => Self::Power,
            _ => return None,
        })
    }

    /// How tightly it binds.
    fn precedence(self) -> u8 {
        match self {
            Self::Open => 0,
            Self::Add | Self::Subtract => 1,
            Self::Multiply | Self::Divide | Self::Remainder => 2,
            Self::Negate => 3,
            Self::Power => 4,
        }
    }
}

/// Operands, and the operators (each with its position) that wait for more of them.
#[derive(Debug, Default)]
struct Stacks {
    values: Vec<BigRational>,
    operators: Vec<(Operator, usize)>,
}

impl Stacks {
    /// Takes an operator between two operands, after working off all that binds tighter.
    fn operator(&mut self, operator: Operator, position: usize) -> Result<(), ExpressionError> {
        while let Some(&(top, _)) = self.operators.last() {
            let first = top.precedence() > operator.precedence();
            let left = top.precedence() == operator.precedence() && operator != Operator::Power;
            if !first && !left {
                break;
            }
            self.apply_top()?;
        }
        self.operators.push((operator, position));
        Ok(())
    }

    /// Takes a `)`.
    fn close(&mut self, position: usize) -> Result<(), ExpressionError> {
        loop {
            match self.operators.last() {
                Some((Operator::Open, _)) => {
                    self.operators.pop();
                    return Ok(());
                }
                Some(_) => self.apply_top()?,
                None => return Err(error(position, "`)` without `(`")),
            }
        }
    }

    /// Works off what is left.
    fn finish(mut self, end: usize) -> Result<BigRational, ExpressionError> {
        while let Some(&(operator, position)) = self.operators.last() {
            if operator == Operator::Open {
                return Err(error(position, "`(` is never closed"));
            }
            self.apply_top()?;
        }
        self.values
            .pop()
            .ok_or_else(|| error(end, "expected a number, found the end"))
    }

    /// Applies the topmost operator to the topmost operands.
    fn apply_top(&mut self) -> Result<(), ExpressionError> {
        let Some((operator, position)) = self.operators.pop() else {
            return Ok(());
        };
        let missing = || error(position, "expected a number beside the operator");
        let right = self.values.pop().ok_or_else(missing)?;
        let value = if operator == Operator::Negate {
            -right
        } else {
            let left = self.values.pop().ok_or_else(missing)?;
            binary(operator, &left, &right, position)?
        };
        self.values.push(bounded(value, position)?);
        Ok(())
    }
}

/// The value of `left operator right`.
fn binary(
    operator: Operator,
    left: &BigRational,
    right: &BigRational,
    position: usize,
) -> Result<BigRational, ExpressionError> {
    Ok(match operator {
        Operator::Add => left + right,
        Operator::Subtract => left - right,
        Operator::Multiply => left * right,
        Operator::Divide | Operator::Remainder if right.is_zero() => {
            return Err(division_by_zero(position));
        }
        Operator::Divide => left / right,
        Operator::Remainder => left % right,
        Operator::Power => power(left, right, position)?,
        Operator::Open | Operator::Negate => {
            return Err(error(position, "expected an operator"));
        }
    })
}

/// The value of `base ^ exponent`.
fn power(
    base: &BigRational,
    exponent: &BigRational,
    position: usize,
) -> Result<BigRational, ExpressionError> {
    if !exponent.is_integer() {
        return Err(error(position, "the exponent must be a whole number"));
    }
    let exponent = exponent.numer();
    if base.is_zero() && exponent.sign() == Sign::Minus {
        return Err(division_by_zero(position));
    }
    if exponent.is_zero() {
        return Ok(BigRational::one());
    }
    if base.is_zero() || base.abs().is_one() {
        return Ok(if exponent.is_even() {
            base.abs()
        } else {
            base.clone()
        });
    }
    // A number of n bits to the power of e has more than (n-1)*e bits.
    let bits = base.numer().bits().max(base.denom().bits()) - 1;
    exponent
        .to_i32()
        .filter(|it| bits.saturating_mul(u64::from(it.unsigned_abs())) <= MAX_BITS)
        .map(|it| Pow::pow(base, it))
        .ok_or_else(|| overflow(position))
}

/// Reads the number that begins at `start`; also says where it ends.
fn number(chars: &[char], start: usize) -> Result<(BigRational, usize), ExpressionError> {
    let digits_from = |from: usize| {
        let n_digits = chars[from..].iter().take_while(|it| it.is_ascii_digit());
        from + n_digits.count()
    };
    let whole_end = digits_from(start);
    let mut end = whole_end;
    let mut n_fraction = 0;
    if chars.get(end) == Some(&'.') {
        end = digits_from(whole_end + 1);
        n_fraction = end - whole_end - 1;
    }
    let digits: String = chars[start..end].iter().filter(|it| **it != '.').collect();
    if digits.is_empty() {
        return Err(error(start + 1, "expected a number, found '.'"));
    }
    let mut exponent = 0;
    if let Some((value, exponent_end)) = exponent_part(chars, end) {
        exponent = value;
        end = exponent_end;
    }
    let scale = exponent.saturating_sub(i32::try_from(n_fraction).unwrap_or(i32::MAX));
    let too_long = digits.len() > MAX_DIGITS || scale.unsigned_abs() as usize > MAX_DIGITS;
    let mantissa: BigInt = match digits.parse() {
        Ok(mantissa) if !too_long => mantissa,
        _ => return Err(overflow(start + 1)),
    };
    let value = BigRational::from(mantissa) * Pow::pow(&BigRational::from(BigInt::from(10)), scale);
    Ok((bounded(value, start + 1)?, end))
}

/// Reads `e10`, `E+10` or `e-10` at `at`, if one is there.
fn exponent_part(chars: &[char], at: usize) -> Option<(i32, usize)> {
    if !matches!(chars.get(at), Some('e' | 'E')) {
        return None;
    }
    let (sign, first) = match chars.get(at + 1) {
        Some('-') => (-1, at + 2),
        Some('+') => (1, at + 2),
        _ => (1, at + 1),
    };
    let digits: String = chars[first.min(chars.len())..]
        .iter()
        .take_while(|it| it.is_ascii_digit())
        .collect();
    if digits.is_empty() {
        return None;
    }
    // More digits than an `i32` holds are too many for any number here.
    let value: i32 = digits.parse().unwrap_or(i32::MAX);
    Some((sign * value, first + digits.len()))
}

/// The value, unless it has grown too large to go on with.
fn bounded(value: BigRational, position: usize) -> Result<BigRational, ExpressionError> {
    if value.numer().bits().max(value.denom().bits()) > MAX_BITS {
        return Err(overflow(position));
    }
    Ok(value)
}

fn overflow(position: usize) -> ExpressionError {
    error(position, "overflow: a number of more than about 308 digits")
}

fn division_by_zero(position: usize) -> ExpressionError {
    error(position, "division by zero")
}

fn error(position: usize, reason: impl Into<String>) -> ExpressionError {
    ExpressionError {
        position,
        reason: reason.into(),
    }
}
