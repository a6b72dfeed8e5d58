//! What this node tells of itself: which version it is, and when there is a new one.

use super::codec::MetadataError;
use super::record::{Content, Metadata};
use crate::env::UnixTime;
use crate::wire::NodeType;

/// A version as it is published, and kept for a restart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnVersion {
    /// The item's seq. Somebody else with our key, or an earlier life of ours, may have moved it past the metadata's own
    /// sequence.
    pub seq: i64,
    /// The item's value: the encoded metadata.
    pub value: Vec<u8>,
}

/// The versions of this node's own metadata, one after the other. Pure.
///
/// A version stays as it is, to the byte, until the content is another: a republish and a restart change neither its
/// sequence nor its time. A private node that has no relay cannot be reached, so it does not begin to publish; once it
/// has, the loss of its relay is news like any other.
#[derive(Clone, Debug, Default)]
pub struct OwnMetadata {
    current: Option<Metadata>,
    /// The seq of the latest version, where there ever was one.
    seq: Option<i64>,
}

impl OwnMetadata {
    /// Goes on where it was left. What an earlier or later program wrote otherwise is followed by a new version.
    pub fn resume(kept: Option<OwnVersion>) -> Self {
        let Some(OwnVersion { seq, value }) = kept else { return Self::default() };
        let is_ours = |metadata: &Metadata| metadata.encode().is_ok_and(|ours| ours == value);
        OwnMetadata { current: Metadata::decode(&value).ok().filter(is_ours), seq: Some(seq) }
    }

    /// What is published; `None` before the first version, as while a private node waits for its first relay.
    pub fn current(&self) -> Option<&Metadata> {
        self.current.as_ref()
    }

    /// The version that is published, as bytes.
    pub fn version(&self) -> Option<OwnVersion> {
        let value = self.current.as_ref()?.encode().ok()?;
        Some(OwnVersion { seq: self.seq?, value })
    }

    /// Says what the node has to tell by now. Gives the new version where it is another than before; it is to be kept,
    /// then published.
    ///
    /// # Errors
    /// When it does not fit into an item; the version before stays.
    pub fn update(&mut self, content: Content, now: UnixTime) -> Result<Option<OwnVersion>, MetadataError> {
        let has_begun = self.seq.is_some();
        let waits = !has_begun && content.node_type == NodeType::Private && content.relay.is_none();
        if waits || self.current.as_ref().is_some_and(|current| current.content == content) {
            return Ok(None);
        }
        let seq = self.seq.unwrap_or(0).checked_add(1).ok_or(MetadataError::NoSequenceLeft)?;
        let timestamp = i64::try_from(now.0.as_secs()).unwrap_or(i64::MAX);
        let metadata = Metadata { content, timestamp, sequence: seq };
        let value = metadata.encode()?;
        self.current = Some(metadata);
        self.seq = Some(seq);
        Ok(Some(OwnVersion { seq, value }))
    }

    /// The same once more as a further version: something else goes by the present one's seq. `None` where there is none.
    ///
    /// # Errors
    /// When no sequence is left.
    pub fn renew(&mut self, now: UnixTime) -> Result<Option<OwnVersion>, MetadataError> {
        match self.current.take() {
            Some(Metadata { content, .. }) => self.update(content, now),
            None => Ok(None),
        }
    }

    /// A later seq was met in the DHT, and what we published goes by it now: the next version comes after it. Gives the
    /// version that is to be kept, where that is another.
    pub fn follow(&mut self, seq: i64) -> Option<OwnVersion> {
        if self.seq.is_some_and(|known| known >= seq) {
            return None;
        }
        self.seq = Some(seq);
        self.version()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::record::tests::{a_private_node, a_public_node};
    use super::*;

    fn at(seconds: u64) -> UnixTime {
        UnixTime(Duration::from_secs(seconds))
    }

    fn decoded(version: &OwnVersion) -> Metadata {
        Metadata::decode(&version.value).unwrap()
    }

    #[test]
    fn only_another_content_is_another_version() {
        let mut own = OwnMetadata::resume(None);
        let mut content = a_public_node().content;
        let first = own.update(content.clone(), at(10)).unwrap().expect("the first");
        assert_eq!((first.seq, decoded(&first).sequence, decoded(&first).timestamp), (1, 1, 10));
        assert_eq!(own.update(content.clone(), at(20)), Ok(None));
        assert_eq!(own.version(), Some(first), "a republish is the same to the byte");
        content.public.port = 9;
        let second = own.update(content, at(30)).unwrap().expect("another port");
        assert_eq!((second.seq, decoded(&second).sequence, decoded(&second).timestamp), (2, 2, 30));
    }

    #[test]
    fn what_was_overtaken_goes_by_a_further_version() {
        let mut own = OwnMetadata::default();
        assert_eq!(own.renew(at(1)), Ok(None), "there is nothing to be renewed");
        let content = a_public_node().content;
        own.update(content.clone(), at(10)).unwrap().unwrap();
        own.follow(7);
        let renewed = own.renew(at(20)).unwrap().unwrap();
        assert_eq!((renewed.seq, decoded(&renewed).sequence, decoded(&renewed).content), (8, 8, content));
    }

    #[test]
    fn a_restart_changes_nothing() {
        let mut own = OwnMetadata::default();
        let content = a_public_node().content;
        let first = own.update(content.clone(), at(10)).unwrap().unwrap();
        let mut again = OwnMetadata::resume(Some(first.clone()));
        assert_eq!(again.update(content.clone(), at(99)), Ok(None));
        assert_eq!(again.version(), Some(first.clone()));
        // Something that we would write otherwise: known by its seq only.
        let mut other = OwnMetadata::resume(Some(OwnVersion { value: b"4:what".to_vec(), ..first }));
        assert_eq!(other.current(), None);
        assert_eq!(other.update(content, at(99)).unwrap().unwrap().seq, 2);
    }

    #[test]
    fn a_private_node_begins_with_its_first_relay() {
        let mut own = OwnMetadata::default();
        let with_relay = a_private_node().content;
        let without = Content { relay: None, ..with_relay.clone() };
        assert_eq!(own.update(without.clone(), at(1)), Ok(None));
        assert_eq!((own.current(), own.version()), (None, None));
        assert_eq!(own.update(with_relay, at(2)).unwrap().unwrap().seq, 1);
        let lost = own.update(without.clone(), at(3)).unwrap().expect("the loss is published");
        assert_eq!((lost.seq, decoded(&lost).content.relay), (2, None));
        let mut again = OwnMetadata::resume(Some(lost));
        assert_eq!(again.update(without, at(4)), Ok(None));
    }

    #[test]
    fn later_versions_are_followed() {
        let mut own = OwnMetadata::default();
        let mut content = a_public_node().content;
        let first = own.update(content.clone(), at(1)).unwrap().unwrap();
        assert_eq!(own.follow(1), None);
        let followed = own.follow(7).expect("it is to be kept");
        assert_eq!(followed, OwnVersion { seq: 7, ..first }, "the value stays");
        assert_eq!(own.follow(3), None, "never back");
        assert_eq!(OwnMetadata::resume(Some(followed)).follow(7), None);
        content.is_relay = false;
        let next = own.update(content.clone(), at(2)).unwrap().unwrap();
        assert_eq!((next.seq, decoded(&next).sequence), (8, 8));
        own.follow(i64::MAX);
        content.is_relay = true;
        assert_eq!(own.update(content, at(3)), Err(MetadataError::NoSequenceLeft));
        assert_eq!(own.current().unwrap().sequence, 8);
    }

    #[test]
    fn what_does_not_fit_leaves_the_version_before() {
        let mut own = OwnMetadata::default();
        let first = own.update(a_public_node().content, at(1)).unwrap();
        let mut content = a_public_node().content;
        content.capabilities = vec!["x".repeat(60); 20];
        let error = own.update(content, at(2)).unwrap_err();
        assert!(matches!(error, MetadataError::TooLong { bytes } if bytes > 1_200), "{error}");
        assert_eq!(own.version(), first);
    }
}
