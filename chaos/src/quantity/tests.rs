//! Each quantity: what it reads, what it refuses and why, and that it prints what it reads.

use std::fmt::{Debug, Display};
use std::str::FromStr;
use std::time::Duration;

use proptest::prelude::*;

use super::duration::{self, MAX_DURATION_DAYS};
use super::{Bandwidth, ByteSize, Drift, Offset, QuantityError, Rate, Share};

fn refused<T: FromStr<Err = QuantityError> + Debug>(text: &str) -> String {
    text.parse::<T>().expect_err("this is to be refused").to_string()
}

fn read<T: FromStr<Err = QuantityError>>(text: &str) -> T {
    text.parse().unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn reads_durations() {
    let millis = |text| duration::parse(text).expect("this is a duration").as_millis();
    assert_eq!(millis("90s"), 90_000);
    assert_eq!(millis("1m30s"), 90_000);
    assert_eq!(millis(" 1m 30s "), 90_000);
    assert_eq!(millis("20ms"), 20);
    assert_eq!(millis("24h"), 86_400_000);
    assert_eq!(millis("0s"), 0);
    assert_eq!(duration::format(Duration::from_millis(90_020)), "1m30s20ms");
}

#[test]
fn refuses_what_is_no_duration() {
    let refused = |text| duration::parse(text).expect_err("this is to be refused").to_string();
    let expected = "expected a duration such as \"90s\", \"1m30s\", \"10m\" or \"20ms\"";
    assert_eq!(refused("10"), format!("\"10\" has no unit; {expected}"));
    assert_eq!(refused("soon"), format!("\"soon\" is not a duration; {expected}"));
    assert_eq!(refused(""), format!("\"\" is not a duration; {expected}"));
    assert_eq!(refused("-5s"), format!("\"-5s\" is not a duration; {expected}"));
    assert_eq!(refused("500years"), format!("\"500years\" is longer than 3660 days; {expected}"));
}

#[test]
fn reads_rates() {
    assert_eq!(read::<Rate>("1/s").interval(), Duration::from_secs(1));
    assert_eq!(read::<Rate>("6/m").interval(), Duration::from_secs(10));
    assert_eq!(read::<Rate>("1 per 10s"), read::<Rate>("1/10s"));
    assert_eq!(read::<Rate>(" 100 / s ").interval(), Duration::from_millis(10));
    assert!((read::<Rate>("90/m").per_second() - 1.5).abs() < 1e-9);
    assert_eq!(read::<Rate>("6/m").to_string(), "6/m");
    assert_eq!(read::<Rate>("1 per 10s").to_string(), "1 per 10s");
}

#[test]
fn an_even_pace_does_not_drift() {
    // A third of a second is no whole number of nanoseconds: summed up, a day would end 86 µs early.
    let rate = read::<Rate>("3/s");
    assert_eq!(rate.offset(0), Duration::ZERO);
    assert_eq!(rate.offset(3 * 86_400), Duration::from_secs(86_400));
}

#[test]
fn refuses_what_is_no_rate() {
    let expected = "expected a rate such as \"1/s\", \"6/m\" or \"1 per 10s\"";
    assert_eq!(refused::<Rate>("0/s"), format!("\"0/s\" is a rate of zero; {expected}"));
    assert_eq!(refused::<Rate>("1/0s"), format!("\"1/0s\" is a rate of zero; {expected}"));
    assert_eq!(refused::<Rate>("fast"), format!("\"fast\" is not a rate; {expected}"));
    assert_eq!(refused::<Rate>("1/x"), format!("\"1/x\" does not end with a time; {expected}"));
    assert_eq!(refused::<Rate>("0.5/s"), format!("\"0.5/s\" does not begin with a whole number; {expected}"));
}

#[test]
fn reads_bandwidths() {
    assert_eq!(read::<Bandwidth>("100Mbit/s").bits_per_second(), 100_000_000);
    assert_eq!(read::<Bandwidth>("1.5 Mbit/s").bits_per_second(), 1_500_000);
    assert_eq!(read::<Bandwidth>("64kbit/s").time_for(8_000), Duration::from_secs(1));
    assert_eq!(read::<Bandwidth>("1500kbit/s").to_string(), "1.5Mbit/s");
}

#[test]
fn refuses_what_is_no_bandwidth() {
    let expected = "expected a bandwidth such as \"100Mbit/s\", \"1Gbit/s\" or \"64kbit/s\"";
    assert_eq!(refused::<Bandwidth>("100Mbps"), format!("\"100Mbps\" is not a bandwidth; {expected}"));
    assert_eq!(
        refused::<Bandwidth>("0bit/s"),
        format!("\"0bit/s\" carries nothing (a partition does that); {expected}")
    );
    assert_eq!(
        refused::<Bandwidth>("0.5bit/s"),
        format!("\"0.5bit/s\" is not a whole number of bits; {expected}")
    );
    assert_eq!(
        refused::<Bandwidth>("Mbit/s"),
        format!("\"Mbit/s\" is not a whole number of bits; {expected}")
    );
}

#[test]
fn reads_sizes() {
    assert_eq!(read::<ByteSize>("64B").bytes(), 64);
    assert_eq!(read::<ByteSize>("4KiB").bytes(), 4096);
    assert_eq!(read::<ByteSize>("1.5kB").bytes(), 1500);
    assert_eq!(read::<ByteSize>("0B").to_string(), "0B");
    assert_eq!(ByteSize::from_bytes(1 << 20).to_string(), "1MiB");
    assert_eq!(ByteSize::from_bytes(2_000_000).to_string(), "2MB");
}

#[test]
fn refuses_what_is_no_size() {
    let expected = "expected a size such as \"64B\", \"4KiB\" or \"1MB\"";
    assert_eq!(refused::<ByteSize>("64"), format!("\"64\" is not a size; {expected}"));
    assert_eq!(refused::<ByteSize>("0.5B"), format!("\"0.5B\" is not a whole number of bytes; {expected}"));
    assert_eq!(
        refused::<ByteSize>("99999999999GiB"),
        format!("\"99999999999GiB\" is not a whole number of bytes; {expected}")
    );
}

#[test]
fn reads_shares() {
    assert_eq!(read::<Share>("100%"), Share::ONE);
    assert_eq!(read::<Share>("0%"), Share::ZERO);
    assert_eq!(read::<Share>("0.1%").billionths(), 1_000_000);
    assert!((read::<Share>("12.5%").as_f64() - 0.125).abs() < 1e-12);
    assert_eq!(read::<Share>("99.990%").to_string(), "99.99%");
}

#[test]
fn a_share_of_counts_reaches_the_whole_only_there() {
    assert_eq!(Share::of(1, 4).map(|share| share.to_string()), Some("25%".to_owned()));
    assert_eq!(Share::of(7, 7), Some(Share::ONE));
    assert!(Share::of(u64::MAX - 1, u64::MAX).is_some_and(|share| share < Share::ONE));
    assert_eq!(Share::of(0, 0), None);
    assert_eq!(Share::of(2, 1), None);
}

#[test]
fn refuses_what_is_no_share() {
    let expected = "expected a share such as \"0.1%\" or \"100%\"";
    assert_eq!(refused::<Share>("101%"), format!("\"101%\" is more than 100%; {expected}"));
    assert_eq!(refused::<Share>("0.5"), format!("\"0.5\" is not a share; {expected}"));
    assert_eq!(refused::<Share>("-1%"), format!("\"-1%\" is not a share; {expected}"));
    assert_eq!(refused::<Share>("0.00000001%"), format!("\"0.00000001%\" has too many digits; {expected}"));
}

#[test]
fn serde_reads_and_writes_strings() {
    #[derive(serde::Serialize, serde::Deserialize, Debug, PartialEq)]
    struct All {
        #[serde(with = "duration")]
        time: Duration,
        #[serde(with = "duration::optional", default)]
        maybe: Option<Duration>,
        rate: Rate,
        loss: Share,
    }
    let text = "time = \"1m30s\"\nmaybe = \"5ms\"\nrate = \"6/m\"\nloss = \"0.1%\"\n";
    let all: All = toml::from_str(text).expect("this is right");
    assert_eq!(all.maybe, Some(Duration::from_millis(5)));
    assert_eq!(toml::to_string(&all).expect("this can be written"), text);
    let error =
        toml::from_str::<All>("time = \"x\"\nrate = \"1/s\"\nloss = \"0%\"").expect_err("no duration");
    assert!(error.message().starts_with("\"x\" is not a duration"), "{error}");
}

fn round_trips<T: FromStr<Err = QuantityError> + Display + PartialEq + Debug>(value: &T) {
    assert_eq!(value.to_string().parse::<T>().as_ref(), Ok(value));
}

/// Text that is nearly a quantity, so that parsers are entered deeply.
const NEARLY: &str =
    "[-+]?[0-9.]{0,24} ?(/|per |%|bit/s|Mbit/s|KiB|GB|B|s|ms|m|h|y|years|ns|us|0s|\\PC)?[0-9a-z]{0,3}";

proptest! {
    #[test]
    fn durations_round_trip(nanos in 0..=MAX_DURATION_DAYS * 86_400 * 1_000_000_000) {
        let value = Duration::from_nanos(nanos);
        prop_assert_eq!(duration::parse(&duration::format(value)), Ok(value));
    }

    #[test]
    fn rates_round_trip(events in 1..=u32::MAX, nanos in 1..=MAX_DURATION_DAYS * 86_400 * 1_000_000_000) {
        round_trips(&Rate::new(events, Duration::from_nanos(nanos)).expect("above zero"));
    }

    #[test]
    fn bandwidths_round_trip(bits in 1..=u64::MAX) {
        round_trips(&Bandwidth::from_bits_per_second(bits));
    }

    #[test]
    fn sizes_round_trip(bytes in any::<u64>()) {
        round_trips(&ByteSize::from_bytes(bytes));
    }

    #[test]
    fn shares_round_trip(part in 0..=1_000_000_000_u64) {
        round_trips(&Share::of(part, 1_000_000_000).expect("a part of it"));
    }

    #[test]
    fn no_text_makes_a_parser_panic(text in prop_oneof![any::<String>(), NEARLY]) {
        // What is read is in range and prints as something that reads the same.
        if let Ok(value) = duration::parse(&text) {
            prop_assert_eq!(duration::parse(&duration::format(value)), Ok(value));
        }
        text.parse::<Rate>().iter().for_each(|value| { value.interval(); value.offset(u64::MAX); round_trips(value); });
        text.parse::<Bandwidth>().iter().for_each(|value| { value.time_for(u64::MAX); round_trips(value); });
        text.parse::<ByteSize>().iter().for_each(round_trips);
        text.parse::<Share>().iter().for_each(round_trips);
    }
}

#[test]
fn reads_offsets_and_drifts() {
    assert_eq!(read::<Offset>("-90s").nanos(), -90_000_000_000);
    assert_eq!(read::<Offset>("+5m"), Offset::forward(Duration::from_secs(300)));
    assert_eq!(read::<Offset>("250ms").to_string(), "+250ms");
    assert!(refused::<Offset>("--5s").contains("expected an offset such as"));
    assert_eq!(read::<Drift>("-1%").ppm(), -10_000);
    assert_eq!(read::<Drift>("200ppm").to_string(), "+200ppm");
    for wrong in ["", "5", "51%", "-500001ppm", "99999999999ppm", "0.00001%"] {
        assert!(refused::<Drift>(wrong).contains("expected a drift such as"), "{wrong}");
    }
}
