//! The service file: TOML, one `[[service]]` per service.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;

use super::{CallerError, ServiceKind, ServiceSpec};
use crate::federation::Policy;
use crate::wire::check_service_name;

/// Why a service file cannot be used. The text names the file, the place and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}: {reason}")]
pub struct ServiceFileError {
    file: String,
    reason: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    service: Vec<toml::Spanned<Entry>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    name: String,
    kind: Kind,
    answers: Option<BTreeMap<String, serde_json::Value>>,
    upstream: Option<String>,
    #[serde(default)]
    methods: Vec<String>,
    timeout: Option<String>,
    balance: Option<String>,
    allow: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Echo,
    Static,
    Http,
}

/// Reads the text of a service file. `file` names it in messages.
///
/// # Errors
/// Says where (line and column) and what was expected.
pub fn parse(file: &str, text: &str) -> Result<Vec<ServiceSpec>, ServiceFileError> {
    let refuse = |reason: String| ServiceFileError { file: file.to_owned(), reason };
    let parsed: File =
        toml::from_str(text).map_err(|error| refuse(error.to_string().trim_end().to_owned()))?;
    if parsed.service.is_empty() {
        return Err(refuse("there is no [[service]] in it; add one with `name` and `kind`".into()));
    }
    let mut specs: Vec<ServiceSpec> = Vec::with_capacity(parsed.service.len());
    for entry in parsed.service {
        let line = text[..entry.span().start].matches('\n').count() + 1;
        let here = |reason: String| refuse(format!("line {line}: {reason}"));
        let spec = service(entry.into_inner()).map_err(here)?;
        if specs.iter().any(|other| other.name == spec.name) {
            return Err(here(format!("there are two services called `{}`; rename one", spec.name)));
        }
        specs.push(spec);
    }
    Ok(specs)
}

fn service(entry: Entry) -> Result<ServiceSpec, String> {
    let Entry { name, kind, answers, upstream, mut methods, timeout, balance, allow } = entry;
    check_service_name(&name).map_err(|error| error.to_string())?;
    let kind = match (kind, answers, upstream) {
        (Kind::Echo, None, None) => ServiceKind::Echo,
        (Kind::Static, Some(answers), None) => {
            if methods.is_empty() {
                methods = answers.keys().cloned().collect();
            }
            ServiceKind::Static(answers)
        }
        (Kind::Static, None, _) => {
            return Err(format!(
                "`{name}` is static and has no [service.answers]; add `METHOD = VALUE` there"
            ));
        }
        (Kind::Http, None, Some(upstream)) => {
            ServiceKind::Http(upstream.parse().map_err(|error| format!("`{name}`: {error}"))?)
        }
        (Kind::Http, _, None) => {
            return Err(format!(
                "`{name}` is http and has no `upstream`; add one, as in \"http://127.0.0.1:9000/rpc\""
            ));
        }
        (_, Some(_), _) => {
            return Err(format!("`{name}` has [service.answers], which only kind = \"static\" uses"));
        }
        (_, _, Some(_)) => return Err(format!("`{name}` has `upstream`, which only kind = \"http\" uses")),
    };
    let timeout =
        timeout.map(|text| duration(&text)).transpose().map_err(|error| format!("`{name}`: {error}"))?;
    let balance = balance
        .map(|text| text.parse::<Policy>())
        .transpose()
        .map_err(|error| format!("`{name}`: balance {error}"))?;
    let allow = allow
        .map(|entries| entries.iter().map(|entry| entry.parse()).collect::<Result<_, CallerError>>())
        .transpose()
        .map_err(|error| format!("`{name}`: {error}"))?;
    Ok(ServiceSpec { name, kind, methods, timeout, balance, allow })
}

fn duration(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(Duration::ZERO) => Err("timeout is zero; write for example \"5s\"".into()),
        Ok(duration) => Ok(duration),
        Err(error) => Err(format!("timeout \"{text}\" is no duration ({error}); write for example \"5s\"")),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const WHOLE: &str = r#"
[[service]]
name = "echo"
kind = "echo"

[[service]]
name = "news"
kind = "static"
timeout = "5s"
balance = "least-connections"
[service.answers]
get_headlines = ["one", { title = "two" }]

[[service]]
name = "shop_service"
kind = "http"
upstream = "http://127.0.0.1:9000/rpc"
methods = ["get_products"]
allow = ["alice.home@relay-a.com", "*.shop"]
"#;

    #[test]
    fn a_whole_file_is_read() {
        let specs = parse("s.toml", WHOLE).unwrap();
        assert_eq!(
            specs.iter().map(|spec| spec.name.as_str()).collect::<Vec<_>>(),
            ["echo", "news", "shop_service"]
        );
        assert_eq!(specs[1].methods, ["get_headlines"]);
        assert_eq!(specs[1].timeout, Some(Duration::from_secs(5)));
        assert_eq!((specs[0].balance, specs[1].balance), (None, Some(Policy::LeastConnections)));
        let allow: Vec<String> = specs[2].allow.iter().flatten().map(ToString::to_string).collect();
        assert_eq!((allow, &specs[0].allow), (vec!["alice.home@relay-a.com".into(), "*.shop".into()], &None));
        let ServiceKind::Static(answers) = &specs[1].kind else { panic!("a static service") };
        assert_eq!(answers["get_headlines"][1]["title"], "two");
    }

    fn refusal(text: &str) -> String {
        parse("s.toml", text).unwrap_err().to_string()
    }

    #[test]
    fn refusals_say_where_and_what_to_do() {
        assert!(refusal("").contains("no [[service]]"));
        assert!(refusal("[[service]]\nname = 7").contains("line 2, column 8"));
        assert!(refusal("[[service]]\nname = \"a\"\nkind = \"grpc\"").contains("`echo`, `static`, `http`"));
        assert!(refusal("[[service]]\nname = \"a\"\nkind = \"echo\"\ncolour = 1").contains("colour"));
        assert!(refusal("[[service]]\nname = \"a b\"\nkind = \"echo\"").contains("line 1"));
        let no_upstream = refusal("\n\n[[service]]\nname = \"a\"\nkind = \"http\"");
        assert!(no_upstream.starts_with("s.toml: line 3: `a` is http"), "{no_upstream}");
        assert!(
            refusal("[[service]]\nname = \"a\"\nkind = \"http\"\nupstream = \"ftp://x\"").contains("http://")
        );
        let twice = "[[service]]\nname = \"a\"\nkind = \"echo\"\n".repeat(2);
        assert!(refusal(&twice).contains("line 4: there are two services called `a`"));
        assert!(refusal("[[service]]\nname = \"a\"\nkind = \"echo\"\ntimeout = \"soon\"").contains("\"5s\""));
        let everyone = refusal("[[service]]\nname = \"a\"\nkind = \"echo\"\nallow = [\"every one\"]");
        assert!(everyone.starts_with("s.toml: line 1: `a`: allow has `every one`"), "{everyone}");
        let fastest = refusal("\n[[service]]\nname = \"a\"\nkind = \"echo\"\nbalance = \"fastest\"");
        assert!(
            fastest.starts_with("s.toml: line 2: `a`: balance `fastest` is")
                && fastest.contains("round-robin"),
            "{fastest}"
        );
    }

    proptest! {
        #[test]
        fn arbitrary_text_never_panics(text in "\\PC{0,200}", at: prop::sample::Index, byte in 32u8..127) {
            let _ = parse("s.toml", &text);
            let mut damaged = WHOLE.as_bytes().to_vec();
            let at = at.index(damaged.len());
            damaged[at] = byte;
            let _ = parse("s.toml", &String::from_utf8(damaged).unwrap());
        }
    }
}
