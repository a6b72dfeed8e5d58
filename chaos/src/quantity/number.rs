//! A decimal number and its unit, exactly.

/// Digits after the point that are read; more would be lost in the smallest units there are.
const MAX_FRACTION_DIGITS: u32 = 9;

/// Splits `text` into the number that it begins with and what follows, without the space between.
pub(super) fn split(text: &str) -> (&str, &str) {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    (&text[..end], text[end..].trim_start())
}

/// `number` times `scale`, where that is a whole number that fits. `number` is decimal, such as `1.5`.
pub(super) fn scaled(number: &str, scale: u64) -> Option<u64> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    let digits = u32::try_from(fraction.len()).ok().filter(|it| (1..=MAX_FRACTION_DIGITS).contains(it))?;
    if !whole.bytes().chain(fraction.bytes()).all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let unit = 10_u128.pow(digits);
    let value = u128::from(whole.parse::<u64>().ok()?) * unit + fraction.parse::<u128>().ok()?;
    let product = value.checked_mul(u128::from(scale))?;
    (product % unit == 0).then(|| u64::try_from(product / unit).ok()).flatten()
}

/// `value` divided by `scale` as a decimal number, without zeros at its end. `scale` is a power of ten.
pub(super) fn decimal(value: u64, scale: u64) -> String {
    let (whole, rest) = (value / scale, value % scale);
    if rest == 0 {
        return whole.to_string();
    }
    let width = usize::try_from(scale.ilog10()).unwrap_or(0);
    format!("{whole}.{rest:0width$}").trim_end_matches('0').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_decimals_exactly() {
        assert_eq!(scaled("1.5", 1000), Some(1500));
        assert_eq!(scaled("0.1", 10), Some(1));
        assert_eq!(scaled("0.1", 1), None, "not whole");
        for wrong in ["", ".", "1.", ".5", "1.2.3", "99999999999999999999", "0.1234567891"] {
            assert_eq!(scaled(wrong, 1_000_000_000), None, "{wrong}");
        }
    }

    #[test]
    fn writes_decimals_without_needless_zeros() {
        assert_eq!(decimal(1500, 1000), "1.5");
        assert_eq!(decimal(1005, 1000), "1.005");
        assert_eq!(decimal(2000, 1000), "2");
    }
}
