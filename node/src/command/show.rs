//! What a command found, for people and for programs.

use std::fmt::Write as _;
use std::net::SocketAddr;

use serde_json::{Map, Value as Json, json};

use super::{EXIT_DONE, EXIT_NOTHING, Said};
use crate::dht::bencode::Value;
use crate::dht::{Contact, Cost, Found, Id, Item, StoreReport};
use crate::metadata::Metadata;

/// What came of a command.
#[derive(Debug)]
pub(super) enum Answer {
    Got { target: Id, found: Found, cost: Cost },
    Put { target: Id, seq: Option<i64>, report: StoreReport, cost: Cost },
    Found { target: Id, closest: Vec<Contact>, cost: Cost },
    Peers { info_hash: Id, peers: Vec<SocketAddr>, cost: Cost },
}

/// A command that did nothing.
pub(super) fn failed(error: &str, exit: u8, json: bool) -> Said {
    if json {
        Said { out: lines(&json!({ "error": error })), err: String::new(), exit }
    } else {
        Said { out: String::new(), err: format!("relay dht: {error}\n"), exit }
    }
}

impl Answer {
    pub(super) fn show(&self, json: bool) -> Said {
        let exit = if self.is_done() { EXIT_DONE } else { EXIT_NOTHING };
        if json {
            return Said { out: lines(&self.json()), err: String::new(), exit };
        }
        match self.text() {
            Ok(out) => Said { out, err: String::new(), exit },
            Err(error) => failed(&error, exit, false),
        }
    }

    fn is_done(&self) -> bool {
        match self {
            Answer::Got { found, .. } => found.item.is_some(),
            Answer::Put { report, .. } => !report.taken.is_empty(),
            Answer::Found { closest, .. } => !closest.is_empty(),
            Answer::Peers { peers, .. } => !peers.is_empty(),
        }
    }

    /// For people. What was not found is no output but an error.
    fn text(&self) -> Result<String, String> {
        let mut out = String::new();
        match self {
            Answer::Got { target, found, .. } => return got(target, found),
            Answer::Put { target, seq, report, .. } => return Ok(put(target, *seq, report)),
            Answer::Found { closest, .. } => {
                for Contact { id, address } in closest {
                    line(&mut out, format_args!("{id} {address}"));
                }
            }
            Answer::Peers { info_hash, peers, .. } if peers.is_empty() => {
                return Err(format!("nobody has announced itself under {info_hash}"));
            }
            Answer::Peers { peers, .. } => peers.iter().for_each(|peer| line(&mut out, peer)),
        }
        Ok(out)
    }

    fn json(&self) -> Json {
        let (mut object, cost) = match self {
            Answer::Got { target, found, cost } => (got_json(target, found), cost),
            Answer::Put { target, seq, report, cost } => (put_json(target, *seq, report), cost),
            Answer::Found { target, closest, cost } => {
                (json!({ "target": target.to_string(), "nodes": contacts(closest) }), cost)
            }
            Answer::Peers { info_hash, peers, cost } => {
                (json!({ "info_hash": info_hash.to_string(), "peers": peers }), cost)
            }
        };
        object["queries"] = cost.queries.into();
        object["answers"] = cost.answers.into();
        object
    }
}

fn got(target: &Id, found: &Found) -> Result<String, String> {
    let Found { item, holders, asked, liars } = found;
    let Some(item) = item else {
        let mut words = format!("nothing is kept under {target}; nodes asked: {asked}");
        if *liars > 0 {
            // Without its salt, a salted item does not fit its target.
            let hint = "nodes that gave what does not belong there, or needs another -salt";
            let _ = write!(words, ", {hint}: {liars}");
        }
        return Err(words);
    };
    let mut out = String::new();
    line(&mut out, format_args!("target      {target}"));
    if let Item::Mutable(item) = item {
        line(&mut out, format_args!("public key  {}", hex::encode(item.key)));
        if !item.salt.is_empty() {
            line(&mut out, format_args!("salt        {}", item.salt.escape_ascii()));
        }
        line(&mut out, format_args!("seq         {}", item.seq));
    }
    line(&mut out, format_args!("kept by     {holders} of {asked} nodes"));
    out.push('\n');
    line(&mut out, value_text(item.value()));
    Ok(out)
}

/// A value for people: metadata as JSON, a byte string as its text, other things as they are bencoded; hexadecimal where
/// it cannot be printed.
fn value_text(value: &[u8]) -> String {
    if let Ok(metadata) = Metadata::decode(value) {
        return format!("{:#}", metadata.to_json());
    }
    let shown = Value::parse(value).ok().and_then(|value| value.as_bytes()).unwrap_or(value);
    printable(shown).map_or_else(|| hex::encode(shown), str::to_owned)
}

fn printable(bytes: &[u8]) -> Option<&str> {
    let is_fine = |c: char| !c.is_control() || matches!(c, '\n' | '\t');
    std::str::from_utf8(bytes).ok().filter(|text| text.chars().all(is_fine))
}

fn got_json(target: &Id, found: &Found) -> Json {
    let Found { item, holders, asked, liars } = found;
    let item = item.as_ref().map(|item| {
        let raw = item.value();
        let bytes = Value::parse(raw).ok().and_then(|value| value.as_bytes());
        let mut object = Map::new();
        if let Item::Mutable(item) = item {
            object.insert("public_key".into(), hex::encode(item.key).into());
            object.insert("salt".into(), hex::encode(&item.salt).into());
            object.insert("seq".into(), item.seq.into());
            object.insert("signature".into(), hex::encode(item.signature).into());
        }
        object.insert("bencoded".into(), hex::encode(raw).into());
        object.insert("text".into(), bytes.and_then(printable).into());
        object.insert("metadata".into(), Metadata::decode(raw).ok().map(|it| it.to_json()).into());
        object
    });
    json!({
        "target": target.to_string(), "item": item, "holders": holders, "asked": asked, "liars": liars,
    })
}

fn put(target: &Id, seq: Option<i64>, report: &StoreReport) -> String {
    let mut out = String::new();
    line(&mut out, format_args!("target      {target}"));
    if let Some(seq) = seq {
        line(&mut out, format_args!("seq         {seq}"));
    }
    line(&mut out, format_args!("taken by    {}", nodes(report.taken.len())));
    for (contact, refusal) in &report.refused {
        line(&mut out, format_args!("refused by  {}: {refusal}", contact.address));
    }
    if !report.silent.is_empty() {
        line(&mut out, format_args!("silent      {}", nodes(report.silent.len())));
    }
    if let Some(newer) = &report.newer {
        let advice = "nobody was asked to take an older one: leave -seq out, or give a later one";
        line(&mut out, format_args!("version {} is kept already, and {advice}", newer.seq));
    }
    out
}

fn put_json(target: &Id, seq: Option<i64>, report: &StoreReport) -> Json {
    let refused: Vec<Json> = report.refused.iter().map(|(contact, refusal)| {
        json!({ "address": contact.address, "code": refusal.code.number(), "message": refusal.text })
    }).collect();
    json!({
        "target": target.to_string(), "seq": seq, "taken": contacts(&report.taken), "refused": refused,
        "silent": contacts(&report.silent), "newer_seq": report.newer.as_ref().map(|newer| newer.seq),
    })
}

fn contacts(contacts: &[Contact]) -> Vec<Json> {
    let one = |Contact { id, address }: &Contact| json!({ "id": id.to_string(), "address": address });
    contacts.iter().map(one).collect()
}

fn nodes(count: usize) -> String {
    if count == 1 { "1 node".into() } else { format!("{count} nodes") }
}

fn lines(value: &Json) -> String {
    format!("{value:#}\n")
}

fn line(out: &mut String, words: impl std::fmt::Display) {
    let _ = writeln!(out, "{words}");
}

#[cfg(test)]
mod tests {
    use ed25519_dalek::SigningKey;

    use super::*;
    use crate::dht::MutableItem;
    use crate::dht::bencode::Writer;

    fn text(bytes: &[u8]) -> Vec<u8> {
        let mut out = Writer::new();
        out.bytes(bytes);
        out.finish()
    }

    fn id() -> Id {
        Id::from_bytes([7; 20])
    }

    #[test]
    fn values_are_shown_as_text_where_they_are_text() {
        assert_eq!(value_text(&text("Grüße,\nWelt".as_bytes())), "Grüße,\nWelt");
        assert_eq!(value_text(&text(b"\x1b[31m")), "1b5b33316d");
        assert_eq!(value_text(&text(b"\xff\x00")), "ff00");
        assert_eq!(value_text(b"d1:ai1ee"), "d1:ai1ee");
        assert_eq!(value_text(b"d1:a1:\xffe"), "64313a61313aff65");
        let metadata = crate::metadata::a_public_node();
        let shown: Json = serde_json::from_str(&value_text(&metadata.encode().unwrap())).unwrap();
        assert_eq!(shown, metadata.to_json());
    }

    #[test]
    fn an_item_is_shown_with_what_it_is() {
        let key = SigningKey::from_bytes(&[1; 32]);
        let item = MutableItem::sign(&key, b"news", 4, text(b"Hello")).unwrap();
        let found = Found { item: Some(Item::Mutable(item)), holders: 2, asked: 3, liars: 0 };
        let answer = Answer::Got { target: id(), found, cost: Cost::default() };
        let said = answer.show(false);
        let wanted = ["salt        news\n", "seq         4\n", "kept by     2 of 3 nodes\n", "\nHello\n"];
        assert!(said.exit == EXIT_DONE && wanted.iter().all(|words| said.out.contains(words)), "{said:?}");
        let json: Json = serde_json::from_str(&answer.show(true).out).unwrap();
        let item = &json["item"];
        assert_eq!(
            (&item["seq"], &item["text"], &item["salt"]),
            (&json!(4), &json!("Hello"), &json!("6e657773"))
        );
        assert!(item["metadata"].is_null() && json["answers"] == 0, "{json}");
    }

    #[test]
    fn nothing_found_is_no_success() {
        let found = Found { item: None, holders: 0, asked: 3, liars: 1 };
        let said = Answer::Got { target: id(), found, cost: Cost::default() }.show(false);
        assert!(said.exit == EXIT_NOTHING && said.out.is_empty(), "{said:?}");
        assert!(said.err.contains("nothing is kept under") && said.err.contains("-salt"), "{said:?}");
        let peers = Answer::Peers { info_hash: id(), peers: Vec::new(), cost: Cost::default() };
        assert_eq!(peers.show(false).exit, EXIT_NOTHING);
        assert_eq!(peers.show(true).exit, EXIT_NOTHING);
    }

    #[test]
    fn a_put_tells_who_refused_it_and_why() {
        use crate::dht::ErrorCode;
        use crate::dht::krpc::Refusal;
        let contact = |port| Contact { id: id(), address: SocketAddr::from(([127, 0, 0, 1], port)) };
        let refusal = Refusal::new(ErrorCode::CasMismatch, "the stored seq is 3");
        let report = StoreReport { refused: vec![(contact(5), refusal)], ..StoreReport::default() };
        let put = |report| Answer::Put { target: id(), seq: Some(4), report, cost: Cost::default() };
        let said = put(report.clone()).show(false);
        assert!(said.out.contains("taken by    0 nodes\nrefused by  127.0.0.1:5: 301 the stored seq is 3"));
        assert_eq!(said.exit, EXIT_NOTHING);
        let json: Json = serde_json::from_str(&put(report.clone()).show(true).out).unwrap();
        assert_eq!(json["refused"][0]["code"], 301);
        let said = put(StoreReport { taken: vec![contact(6)], ..report }).show(false);
        assert!(said.exit == EXIT_DONE && said.out.contains("taken by    1 node\n"), "{said:?}");
    }
}
