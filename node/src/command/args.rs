//! The arguments of `relay dht`.

use clap::error::ErrorKind;
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use super::{DhtCommand, Put, Signed, Task};
use crate::config::{BadBootstrapAddress, BootstrapAddress, DHT_PORT, Parsed, double_dash, single_dash};
use crate::dht::{Id, KEY_BYTES, OWN_VALUE_BYTES_MAX, SALT_BYTES_MAX, mutable_target};

const HELP: &str = "\
Asks the DHT, or has it keep something, without running a relay.

Usage: relay dht get TARGET|PUBLIC_KEY [-salt SALT] [FLAGS]
       relay dht put VALUE [-key FILE [-salt SALT] [-seq N] [-cas N]] [FLAGS]
       relay dht find ID|PUBLIC_KEY [FLAGS]
       relay dht peers TOPIC|INFO_HASH [FLAGS]

  get    finds a value: by its target (40 hexadecimal digits), or the one that a public key (64) has signed
  put    has a value kept by the nodes closest to it, for two hours; -- goes before one that begins with a dash
  find   finds the nodes closest to an id or a target, or to what a public key has signed
  peers  finds who announced itself under a topic, such as remote-network-mesh

  -bootstrap HOST:PORT,…
          Nodes to begin with, separated by commas (127.0.0.1:30609 unless given)
  -salt SALT
          Tells apart what one key has signed
  -key FILE
          Sign the value with this Ed25519 key, such as ed25519_private.key of a relay; what its owner signs later under
          the same salt takes its place
  -seq N
          The version (one more than what is found unless given)
  -cas N
          Put it only where this version is kept, or none
  -json
          Say it in JSON

Exit codes: 0 done, 1 nothing was found or nobody took it, 64 wrong usage.
";

#[derive(Parser, Debug)]
#[command(name = "relay dht", disable_help_flag = true, disable_help_subcommand = true)]
struct Line {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand, Debug)]
#[command(disable_help_flag = true)]
enum What {
    Get {
        #[arg(value_name = "TARGET|PUBLIC_KEY")]
        item: String,
        #[arg(long, default_value = "")]
        salt: String,
        #[command(flatten)]
        how: How,
    },
    Put {
        #[arg(value_name = "VALUE")]
        value: String,
        #[arg(long, value_name = "FILE")]
        key: Option<String>,
        #[arg(long)]
        salt: Option<String>,
        #[arg(long, value_name = "N", allow_negative_numbers = true)]
        seq: Option<i64>,
        #[arg(long, value_name = "N", allow_negative_numbers = true)]
        cas: Option<i64>,
        #[command(flatten)]
        how: How,
    },
    Find {
        #[arg(value_name = "ID|PUBLIC_KEY")]
        id: String,
        #[command(flatten)]
        how: How,
    },
    Peers {
        #[arg(value_name = "TOPIC|INFO_HASH")]
        topic: String,
        #[command(flatten)]
        how: How,
    },
}

#[derive(clap::Args, Debug)]
struct How {
    #[arg(long, value_name = "HOST:PORT,…", value_delimiter = ',')]
    bootstrap: Vec<String>,
    #[arg(long)]
    json: bool,
}

/// Reads what stands after `relay dht`.
pub fn parse(args: impl IntoIterator<Item = String>) -> Parsed {
    let mut is_flag = true;
    let normal = |arg: String| {
        is_flag &= arg != "--";
        if is_flag { double_dash(arg) } else { arg }
    };
    let args: Vec<String> = args.into_iter().map(normal).collect();
    if args.iter().take_while(|arg| *arg != "--").any(|arg| arg == "--help") {
        return Parsed::Print(HELP.to_owned());
    }
    let matches = Line::command().try_get_matches_from(std::iter::once("relay dht".to_owned()).chain(args));
    match matches.and_then(|matches| Line::from_arg_matches(&matches)) {
        Ok(line) => match command(line.what) {
            Ok(command) => Parsed::Dht(Box::new(command)),
            Err(error) => refuse(&error),
        },
        Err(error) if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            refuse("say what to do: get, put, find or peers")
        }
        Err(error) => Parsed::Refuse(single_dash(&error.render().to_string())),
    }
}

fn refuse(error: &str) -> Parsed {
    Parsed::Refuse(format!("relay dht: {error}\nTry: relay dht -help\n"))
}

fn command(what: What) -> Result<DhtCommand, String> {
    let (task, how) = match what {
        What::Get { item, salt, how } => {
            let salt = salt_of(salt)?;
            let target = match key(&item) {
                Some(key) => mutable_target(&key, &salt),
                None => id(&item)?,
            };
            (Task::Get { target, salt }, how)
        }
        What::Put { value, key, salt, seq, cas, how } => (Task::Put(put(value, key, (salt, seq, cas))?), how),
        What::Find { id: text, how } => {
            let target = key(&text).map_or_else(|| id(&text), |key| Ok(mutable_target(&key, b"")))?;
            (Task::Find { target }, how)
        }
        What::Peers { topic, how } => {
            let info_hash = topic.parse().unwrap_or_else(|_| Id::hash(&[topic.as_bytes()]));
            (Task::Peers { info_hash }, how)
        }
    };
    let given = how.bootstrap.iter().map(|text| text.parse());
    let mut bootstrap: Vec<BootstrapAddress> = given
        .collect::<Result<_, _>>()
        .map_err(|error: BadBootstrapAddress| format!("-bootstrap: {error}"))?;
    if bootstrap.is_empty() {
        bootstrap.push(BootstrapAddress { host: "127.0.0.1".into(), port: DHT_PORT });
    }
    Ok(DhtCommand { task, bootstrap, json: how.json })
}

fn put(
    value: String,
    key: Option<String>,
    (salt, seq, cas): (Option<String>, Option<i64>, Option<i64>),
) -> Result<Put, String> {
    let value = value.into_bytes();
    if value.len() > OWN_VALUE_BYTES_MAX {
        return Err(format!(
            "the value has {} bytes, at most {OWN_VALUE_BYTES_MAX} are possible",
            value.len()
        ));
    }
    let Some(key_file) = key else {
        let given = [("-salt", salt.is_some()), ("-seq", seq.is_some()), ("-cas", cas.is_some())];
        return match given.iter().find(|(_, given)| *given) {
            Some((flag, _)) => Err(format!("{flag} is of signed values: it needs -key FILE")),
            None => Ok(Put { value, signed: None }),
        };
    };
    if seq.or(cas).is_some_and(|number| number < 0) || cas.is_some_and(|cas| cas < 0) {
        return Err("-seq and -cas are never negative".into());
    }
    let salt = salt_of(salt.unwrap_or_default())?;
    Ok(Put { value, signed: Some(Signed { key_file, salt, seq, cas }) })
}

fn salt_of(salt: String) -> Result<Vec<u8>, String> {
    match salt.len() {
        0..=SALT_BYTES_MAX => Ok(salt.into_bytes()),
        bytes => Err(format!("-salt: it has {bytes} bytes, at most {SALT_BYTES_MAX} are possible")),
    }
}

fn id(text: &str) -> Result<Id, String> {
    text.parse().map_err(|_| {
        format!("`{text}` is neither 40 hexadecimal digits, as an id or a target, nor 64, as a public key")
    })
}

fn key(text: &str) -> Option<[u8; KEY_BYTES]> {
    let mut key = [0; KEY_BYTES];
    hex::decode_to_slice(text, &mut key).ok().map(|()| key)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "77ff84905a91936367c01360803104f92432fcd904a43511876df5cdf3e7e548";

    fn parsed(line: &[&str]) -> Parsed {
        parse(line.iter().map(ToString::to_string))
    }

    fn read(line: &[&str]) -> DhtCommand {
        match parsed(line) {
            Parsed::Dht(command) => *command,
            other => panic!("{line:?}: {other:?}"),
        }
    }

    fn refusal(line: &[&str]) -> String {
        match parsed(line) {
            Parsed::Refuse(words) => words,
            other => panic!("{line:?}: {other:?}"),
        }
    }

    fn id_of(text: &str) -> Id {
        text.parse().unwrap()
    }

    #[test]
    fn an_item_is_named_by_its_target_or_its_key() {
        let get = |line: &[&str]| match read(&[&["get"], line].concat()).task {
            Task::Get { target, salt } => (target, String::from_utf8(salt).unwrap()),
            other => panic!("{other:?}"),
        };
        let (plain, salted) = (
            id_of("4a533d47ec9c7d95b1ad75f576cffc641853b750"),
            id_of("411eba73b6f087ca51a3795d9c8c938d365e32c1"),
        );
        assert_eq!(get(&[KEY]), (plain, String::new()));
        assert_eq!(get(&[&plain.to_string()]), (plain, String::new()));
        assert_eq!(get(&[KEY, "-salt", "foobar"]), (salted, "foobar".into()));
        assert_eq!(get(&["--salt=foobar", &salted.to_string()]), (salted, "foobar".into()));
        let find = read(&["find", KEY]).task;
        assert_eq!(find, Task::Find { target: plain });
    }

    #[test]
    fn a_topic_is_hashed_and_a_hash_is_not() {
        let topic = "f50ef50187432ac23ee66ae7ecdcfcf58aa38f9d";
        let named = read(&["peers", "remote-network-mesh"]).task;
        let Task::Peers { info_hash } = named else { panic!("{named:?}") };
        assert_eq!(info_hash, Id::hash(&[b"remote-network-mesh"]));
        assert_eq!(read(&["peers", topic]).task, Task::Peers { info_hash: id_of(topic) });
    }

    #[test]
    fn what_is_put_may_begin_with_a_dash() {
        let put = read(&["put", "-key", "k", "-seq=4", "-cas", "3", "-json", "--", "-help"]);
        let signed = Signed { key_file: "k".into(), salt: Vec::new(), seq: Some(4), cas: Some(3) };
        assert_eq!(put.task, Task::Put(Put { value: b"-help".to_vec(), signed: Some(signed) }));
        assert!(put.json);
        assert_eq!(read(&["put", "x"]).task, Task::Put(Put { value: b"x".to_vec(), signed: None }));
    }

    #[test]
    fn ways_in_are_this_machine_unless_given() {
        let ways = |line: &[&str]| {
            let ways =
                read(&[&["find", "4a533d47ec9c7d95b1ad75f576cffc641853b750"], line].concat()).bootstrap;
            ways.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(ways(&[]), ["127.0.0.1:30609"]);
        assert_eq!(ways(&["-bootstrap", "relay-a.com:1,[::1]:2"]), ["relay-a.com:1", "[::1]:2"]);
    }

    #[test]
    fn what_cannot_be_is_refused_in_words() {
        let long = "x".repeat(997);
        for (line, words) in [
            (&[][..], "say what to do: get, put, find or peers"),
            (&["take", "x"], "take"),
            (&["get"], "TARGET|PUBLIC_KEY"),
            (&["get", "abc"], "`abc` is neither 40 hexadecimal digits"),
            (&["put", "x", "-salt", "s"], "-salt is of signed values: it needs -key FILE"),
            (&["put", "x", "-cas", "1"], "-cas is of signed values"),
            (&["put", "x", "-key", "k", "-seq", "-1"], "never negative"),
            (&["put", "x", "-key", "k", "-seq", "1", "-cas", "-1"], "never negative"),
            (&["put", "x", "-key", "k", "-salt", &long], "at most 64"),
            (&["put", &long], "the value has 997 bytes, at most 996"),
            (&["find", KEY, "-bootstrap", "nowhere"], "-bootstrap: `nowhere` is no node of the DHT"),
            (&["find", KEY, "-slat", "s"], "-slat"),
        ] {
            let refusal = refusal(line);
            assert!(refusal.contains(words), "{line:?} should say {words}: {refusal}");
        }
    }

    #[test]
    fn help_names_every_flag() {
        let Parsed::Print(words) = parsed(&["put", "x", "-help"]) else { panic!("must print") };
        let flags = Line::command();
        let flags = flags.get_subcommands().flat_map(clap::Command::get_arguments);
        let mut count = 0;
        for flag in flags.filter_map(|flag| flag.get_long()) {
            assert!(words.contains(&format!("\n  -{flag}")), "{flag} in {words}");
            count += 1;
        }
        assert!(count >= 12, "{count}");
    }
}
