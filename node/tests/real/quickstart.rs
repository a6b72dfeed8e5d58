//! `docs/quickstart.md`, typed: its commands run in a directory with the repository's examples, and what they say is
//! compared with what the document shows, where `…` stands for anything.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use hyper::Request;
use hyper::header::HOST;

use crate::http::ask;
use crate::tls::Authority;
use crate::world::{Process, World, eventually, free_port};

const DOCUMENT: &str = include_str!("../../docs/quickstart.md");

/// The ports in the document. Each is another one here.
const PORTS: [&str; 8] = ["8080", "8081", "8091", "8092", "8443", "8444", "8093", "8094"];

/// What is typed, and the lines that are shown below it.
struct Typed<'a> {
    command: &'a str,
    shown: Vec<&'a str>,
}

/// The commands in the document's `console` blocks.
fn typed(document: &str) -> Vec<Typed<'_>> {
    let mut all: Vec<Typed<'_>> = Vec::new();
    let mut inside = false;
    for line in document.lines() {
        if line.starts_with("```") {
            inside = line == "```console";
        } else if let (true, Some(command)) = (inside, line.strip_prefix("$ ")) {
            all.push(Typed { command, shown: Vec::new() });
        } else if inside {
            all.last_mut().expect("a block begins with a command").shown.push(line);
        }
    }
    all
}

/// Whether a line is what the document shows.
fn fits(shown: &str, line: &str) -> bool {
    let Some((first, others)) = shown.split_once('…') else { return shown == line };
    let Some(mut rest) = line.strip_prefix(first) else { return false };
    let (between, last) = others.rsplit_once('…').unwrap_or(("", others));
    for part in between.split('…') {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[test]
fn an_ellipsis_stands_for_anything_and_nothing_else_does() {
    assert!(
        fits("a … c", "a b c") && fits("… c", "a b c") && fits("same", "same") && fits("…, …, c", "a, b, c")
    );
    assert!(
        !fits("a … c", "a b d")
            && !fits("same", "same more")
            && !fits("… b", "a b c")
            && !fits("a…b…c", "abd")
    );
}

#[tokio::test]
async fn the_quickstart_works_as_it_is_written() {
    let world = World::new();
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples");
    std::fs::create_dir(world.path("examples")).unwrap();
    for name in ["echo.toml", "news.toml"] {
        std::fs::copy(examples.join(name), world.path("examples").join(name)).unwrap();
    }
    // What openssl would make.
    let authority = Authority::new("my authority");
    authority.file(&world, "ca.pem");
    authority.files(&world, "relay", &["localhost"]);
    // The first Main is typed without its port, the default one.
    let mut document = DOCUMENT.replace("-host 127.0.0.1\n", "-host 127.0.0.1 -port 8080\n");
    for port in PORTS {
        document = document.replace(port, &free_port().to_string());
    }
    let mut relays = Vec::new();
    let mut requests = 0;
    for Typed { command, shown } in typed(&document) {
        match command.split_once(' ') {
            Some(("target/release/relay", args)) => {
                let program = env!("CARGO_BIN_EXE_relay");
                let line = format!("cd '{}' && exec {program} {args}", world.text(""));
                let log = world.path(&format!("{}.log", relays.len()));
                let relay = Process::start(Path::new("sh"), &["-c".into(), line], log);
                says(&relay, command, &shown).await;
                relays.push(relay);
            }
            Some(("curl", args)) => {
                let [wanted] = shown[..] else { panic!("one line is shown below {command}") };
                let mut last = String::new();
                // What has just connected is not known everywhere at once.
                let answered = eventually_answers(&world, args, wanted, &mut last).await;
                assert!(answered, "{command}\nis to show {wanted}\nand showed    {last}");
                requests += 1;
            }
            _ => panic!("nobody knows how to type {command}"),
        }
    }
    assert!(relays.len() >= 8 && requests >= 5, "{} relays, {requests} requests", relays.len());
}

/// Waits until a relay has logged these lines in this order.
async fn says(relay: &Process, command: &str, shown: &[&str]) {
    eventually(&format!("{command} logs {shown:#?}"), async || {
        let said = relay.said();
        let mut lines = said.lines();
        shown.iter().all(|shown| lines.any(|line| fits(shown, line))).then_some(())
    })
    .await;
}

async fn eventually_answers(world: &World, args: &str, wanted: &str, last: &mut String) -> bool {
    for _ in 0..100 {
        *last = curl(world, args).await;
        if fits(wanted, last) {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    false
}

/// What curl would print. The shell takes the arguments apart.
async fn curl(world: &World, args: &str) -> String {
    let line = format!("cd '{}' && printf '%s\\n' {args}", world.text(""));
    let words = Command::new("sh").args(["-c", &line]).output().expect("there is a shell");
    let words = String::from_utf8(words.stdout).expect("text");
    let (mut url, mut method, mut body, mut headers) = (None, "GET", String::new(), Vec::new());
    let mut words = words.lines();
    while let Some(word) = words.next() {
        let mut value = || words.next().expect("the option has a value").to_owned();
        match word {
            "-s" => {}
            "-d" => (method, body) = ("POST", value()),
            "-H" => headers.push(value()),
            _ => url = word.strip_prefix("http://"),
        }
    }
    let (at, path) = url.and_then(|url| url.split_once('/')).expect("a URL");
    let mut request = Request::builder().method(method).uri(format!("/{path}")).header(HOST, at);
    for header in &headers {
        let (name, value) = header.split_once(": ").expect("a header");
        request = request.header(name, value);
    }
    ask(at, request.body(body).expect("a request")).await.expect("the relay answers").into_body()
}
