//! Profiles of loads that no caller can follow.

use super::{Case, check, load};

#[test]
fn each_is_reported_at_its_place() {
    let cases: &[Case] = &[
        load(
            r#"rate = "1/s"
profile = [{ kind = "constant", rate = "1/s" }]
"#,
            "
17:8 the profile says the rate
  expected `rate` or `profile`
",
        ),
        load(
            "profile = []
",
            r#"
17:11 this profile has no segment
  expected segments, such as { kind = "constant", rate = "1/s", lasts = "1m" }
"#,
        ),
        load(
            r#"profile = "fast"
"#,
            "
17:11 `profile` is a string
  expected a table: [[profile]]
",
        ),
        load(
            r#"profile = [{ rate = "1/s", lasts = "1m" }, { kind = "rmap", to = "1/s" }]
"#,
            r#"
17:12 a segment of `profile` has no `kind`
  expected `kind = …` in here
17:53 bad value for `kind` in a segment of `profile`: "rmap"
  expected one of `constant`, `ramp`, `steps`, `wave`, `burst`, `pause`
  help: did you mean `ramp`?
"#,
        ),
        load(
            r#"profile = [{ kind = "constant", rate = "1/s" }, { kind = "pause", last = "1m" }]
"#,
            r#"
17:12 a segment of kind "constant" has no `lasts`
  expected `lasts = …` in here
17:67 unknown key `last` in a segment of kind "pause"
  expected one of `kind`, `lasts`
  help: did you mean `lasts`?
"#,
        ),
        load(
            r#"profile = [{ kind = "constant", lasts = "0s" }, { kind = "ramp", lasts = "1m" }, { kind = "ramp", to = "2000000/s" }]
"#,
            r#"
17:12 a segment of kind "constant" has no `rate`
  expected `rate = …` in here
17:41 `lasts` is zero
  expected a duration above zero
17:49 this ramp goes from nothing to nothing
  expected `from`, `to` or both
17:104 too many calls
  expected at most 100000/s for each host
"#,
        ),
        load(
            r#"profile = [
    { kind = "wave", low = "2/s", high = "1/s", lasts = "1m" },
    { kind = "wave", low = "2/s", high = "1/s", period = "1m", lasts = "1m" },
    { kind = "burst", calls = 0, every = "1s", lasts = "1m" },
    { kind = "burst", every = "0s" },
]
"#,
            r#"
18:5 a segment of kind "wave" has no `period`
  expected `period = …` in here
18:42 `high` is lower than `low`
  expected at least 2/s, as `low`
19:42 `high` is lower than `low`
  expected at least 2/s, as `low`
20:31 0 calls at once
  expected 1 to 10000
21:5 a segment of kind "burst" has no `calls`
  expected `calls = …` in here
21:31 `every` is zero
  expected a duration above zero
"#,
        ),
        load(
            r#"profile = [
    { kind = "steps", rates = [], each = "1m" },
    { kind = "steps", rates = ["1/s", "often"], each = "1m" },
    { kind = "steps", rates = "1/s", lasts = "1m" },
]
"#,
            r#"
18:31 no step at all
  expected at least one rate
19:39 bad value for `rates` in a segment of kind "steps": "often" is not a rate
  expected a rate such as "1/s", "6/m" or "1 per 10s"
20:5 a segment of kind "steps" has no `each`
  expected `each = …` in here
20:31 bad value for `rates` in a segment of kind "steps": this is a string
  expected a list of rates, such as ["10/s", "20/s"]
20:38 unknown key `lasts` in a segment of kind "steps"
  expected one of `kind`, `rates`, `each`
"#,
        ),
        load(
            r#"stop = "2m"
profile = [{ kind = "constant", rate = "1/s", lasts = "1m" }, { kind = "pause", lasts = "61s" }]
"#,
            "
18:11 the segments last 2m1s together
  expected at most 2m: the load lasts no longer
",
        ),
        load(
            r#"stop = "1m"
profile = [{ kind = "constant", rate = "1/s", lasts = "1m" }, { kind = "pause" }]
"#,
            "
18:11 the last segment never begins
  expected some time for it before the load stops
",
        ),
        load(
            r#"kind = "closed"
callers = 3
profile = [{ kind = "constant", rate = "1/s" }]
"#,
            r#"
19:1 unknown key `profile` in a [[load]] of kind "closed"
  expected one of `name`, `kind`, `think`, `callers`, `from`, `service`, `method`, `payload`, `timeout`, `priority`, `by`, `to`, `start`, `stop`, `gates`, `expect`
"#,
        ),
    ];
    check(cases);
}
