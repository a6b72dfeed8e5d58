//! The ways to choose among instances, and their names.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// How a service's calls are spread over its instances.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Policy {
    /// Of two drawn at random the one that is less loaded, by latency and calls under way.
    #[default]
    PowerOfTwo,
    /// One after the other.
    RoundRobin,
    /// The one with the fewest calls under way.
    LeastConnections,
    /// Any.
    Random,
}

/// A text that names no [`Policy`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not known; use power-of-two (the default), round-robin, least-connections or random")]
pub struct UnknownPolicy(String);

impl Policy {
    /// All of them, the default first.
    pub const ALL: [Policy; 4] =
        [Policy::PowerOfTwo, Policy::RoundRobin, Policy::LeastConnections, Policy::Random];

    /// Its name in files, on the wire and in metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Policy::PowerOfTwo => "power-of-two",
            Policy::RoundRobin => "round-robin",
            Policy::LeastConnections => "least-connections",
            Policy::Random => "random",
        }
    }
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Policy {
    type Err = UnknownPolicy;

    fn from_str(text: &str) -> Result<Self, UnknownPolicy> {
        let named = Policy::ALL.into_iter().find(|policy| policy.as_str() == text);
        named.ok_or_else(|| UnknownPolicy(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_back_in_text_and_in_json() {
        for policy in Policy::ALL {
            assert_eq!(policy.to_string().parse(), Ok(policy));
            assert_eq!(serde_json::to_string(&policy).unwrap(), format!("\"{policy}\""));
            assert_eq!(serde_json::from_str::<Policy>(&format!("\"{policy}\"")).unwrap(), policy);
        }
        let refusal = "fastest".parse::<Policy>().unwrap_err().to_string();
        assert!(Policy::ALL.iter().all(|policy| refusal.contains(policy.as_str())), "{refusal}");
    }
}
