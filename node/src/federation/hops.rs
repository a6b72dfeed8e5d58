//! How far a call may travel.

use super::Failure;
use crate::wire::{Header, MAX_HOPS, NodeId};

/// Checks a request that has just arrived at `me`: it has not been here, and its journey is not over the limit.
///
/// # Errors
/// [`Failure::Loop`], [`Failure::HopLimit`].
pub(super) fn check_arrival(header: &Header, me: &NodeId) -> Result<(), Failure> {
    if header.path.contains(me) {
        return Err(Failure::Loop { node: me.clone() });
    }
    // Each node on the path has sent it once.
    if header.path.len() > MAX_HOPS {
        return Err(Failure::HopLimit);
    }
    Ok(())
}

/// Writes `me` into the path of a request that `me` is about to send, and takes one hop off its `ttl`.
///
/// # Errors
/// [`Failure::HopLimit`] where that hop would be one too many, whatever the `ttl` says.
pub(super) fn depart(header: &mut Header, me: &NodeId) -> Result<(), Failure> {
    if header.path.len() >= MAX_HOPS || header.ttl == 0 {
        return Err(Failure::HopLimit);
    }
    header.path.push(me.clone());
    header.ttl -= 1;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{NodeAddress, NodeKind};

    fn header(path: &[&str], ttl: u32) -> Header {
        Header {
            message_id: "1".into(),
            correlation_id: None,
            timestamp: String::new(),
            source: NodeAddress { kind: NodeKind::Home, id: "alice".parse().unwrap(), main_relay: None },
            destination: None,
            path: path.iter().map(|id| id.parse().unwrap()).collect(),
            ttl,
            priority: None,
            trace: None,
            traceparent: None,
        }
    }

    #[test]
    fn three_hops_and_no_fourth() {
        let mut call = header(&[], 10);
        for node in ["alice", "relay-a", "relay-b"] {
            let node = node.parse().unwrap();
            check_arrival(&call, &node).unwrap();
            depart(&mut call, &node).unwrap();
        }
        assert_eq!(call.ttl, 7);
        let bob: NodeId = "bob".parse().unwrap();
        check_arrival(&call, &bob).unwrap();
        assert_eq!(depart(&mut call, &bob), Err(Failure::HopLimit));
    }

    #[test]
    fn a_used_up_ttl_ends_the_journey_early() {
        assert_eq!(depart(&mut header(&[], 0), &"alice".parse().unwrap()), Err(Failure::HopLimit));
    }

    #[test]
    fn a_call_does_not_pass_a_node_twice() {
        let me: NodeId = "relay-a".parse().unwrap();
        assert_eq!(
            check_arrival(&header(&["alice", "relay-a"], 9), &me),
            Err(Failure::Loop { node: me.clone() })
        );
        assert_eq!(check_arrival(&header(&["a", "b", "c", "d"], 9), &me), Err(Failure::HopLimit));
    }
}
