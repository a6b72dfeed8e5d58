//! What the binary does with its arguments, files and ports.

use serde_json::Value;

use crate::world::{Process, World};

/// Runs `relay` to its end: exit code and everything that it said.
async fn run(world: &World, args: &[&str]) -> (Option<i32>, String) {
    let mut process: Process = world.relay("run", args);
    (process.ended().await.code(), process.said())
}

#[tokio::test]
async fn wrong_usage_ends_with_64_and_names_the_flags() {
    let world = World::new();
    for (args, words) in [
        (&["-server", "-prot", "8080"][..], &["'-prot'", "-port"][..]),
        (&["-server", "-connect", "ws://127.0.0.1:1"], &["-server and -connect contradict each other"]),
        (&["-server", "-node-type", "home"], &["-server", "-node-type home", "contradict"]),
        (&[], &["-server", "-connect URL"]),
        (&["-server", "-port", "99999"], &["-port", "99999"]),
        (&["-connect", "relay-a.com"], &["-connect", "write ws://HOST:PORT"]),
        (&["-connect", "ws://127.0.0.1:1", "-host", "0.0.0.0"], &["-host", "loopback"]),
        (&["-server", "-log-format", "xml"], &["-log-format", "human nor json"]),
        (&["-server", "/nonexistent/services.toml"], &["cannot read /nonexistent/services.toml"]),
    ] {
        let (code, said) = run(&world, args).await;
        assert_eq!(code, Some(64), "{args:?}: {said}");
        for words in words {
            assert!(said.contains(words), "{args:?} should say {words}: {said}");
        }
        assert!(!said.contains("panicked"), "{said}");
    }
}

#[tokio::test]
async fn help_and_version_end_well() {
    let world = World::new();
    for flag in ["-help", "--help", "-h"] {
        let (code, said) = run(&world, &[flag]).await;
        assert_eq!(code, Some(0));
        assert!(said.contains("-connect <URL>") && said.contains("Examples:"), "{said}");
    }
    let (code, said) = run(&world, &["-version"]).await;
    assert_eq!((code, said), (Some(0), format!("relay {}\n", env!("CARGO_PKG_VERSION"))));
}

#[test]
fn help_that_cannot_be_printed_is_no_panic() {
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let relay = std::process::Command::new(env!("CARGO_BIN_EXE_relay")).arg("-help").stdout(full).output();
    let relay = relay.unwrap();
    let said = String::from_utf8_lossy(&relay.stderr);
    assert_eq!(relay.status.code(), Some(1), "{said}");
    assert!(said.starts_with("relay: cannot print: No space left on device"), "{said}");
}

#[tokio::test]
async fn a_bad_service_file_is_refused_at_its_line() {
    let world = World::new();
    for (text, words) in [
        ("[[service]]\nname = \"a\"\nkind = \"grpc\"\n", "line 3, column 8"),
        ("\n[[service]]\nname = \"a\"\nkind = \"http\"\n", "line 2: `a` is http and has no `upstream`"),
        ("[[service]]\nname = \"a\"\nkind = \"echo\"\ncolour = 1\n", "line 4, column 1"),
    ] {
        let file = world.file("services.toml", text);
        let (code, said) = run(&world, &[&file, "-server"]).await;
        assert_eq!(code, Some(64), "{said}");
        assert!(said.contains(&file) && said.contains(words), "{words}: {said}");
    }
}

#[tokio::test]
async fn a_data_directory_and_a_port_have_one_owner() {
    let world = World::new();
    let first = world.main("relay-a", &[]).await;
    let dir = world.text("relay-a");
    let (code, said) = run(&world, &["-server", "-host", "127.0.0.1", "-port", "0", "-data-dir", &dir]).await;
    assert_eq!(code, Some(1), "{said}");
    let words = format!("{dir}: in use by another relay; give this one its own with -data-dir");
    assert!(said.contains(&words), "{said}");

    let (port, other) = (first.port(), world.text("other"));
    let (code, said) =
        run(&world, &["-server", "-host", "127.0.0.1", "-port", &port, "-data-dir", &other]).await;
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains(&format!("cannot listen on 127.0.0.1:{port}")), "{said}");
    assert!(said.contains("choose another with -port"), "{said}");

    drop(first);
    let given = ["-server", "-host", "127.0.0.1", "-port", "0", "-node-id", "relay-b", "-data-dir", &dir];
    let (code, said) = run(&world, &given).await;
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("belongs to the node relay-a, not to relay-b"), "{said}");
}

#[tokio::test]
async fn json_logs_are_a_json_object_per_line() {
    let world = World::new();
    let dir = world.text("data");
    let args = [
        "-server",
        "-host",
        "127.0.0.1",
        "-port",
        "0",
        "-data-dir",
        &dir,
        "-log-format",
        "json",
        "-log-level=debug",
    ];
    let mut main = world.relay("main", &args);
    main.says("listening on").await;
    main.terminate();
    assert_eq!(main.ended().await.code(), Some(0));
    let said = main.said();
    let lines: Vec<Value> = said.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
    let first = lines[0]["fields"]["message"].as_str().unwrap();
    assert!(first.starts_with("Starting as Main Relay with auto-generated node ID main-"), "{first}");
    assert_eq!(lines[0]["level"], "INFO");
    assert_eq!(lines.last().unwrap()["fields"]["message"], "stopped");
}

#[tokio::test]
async fn a_home_says_what_it_is_first() {
    let world = World::new();
    let (file, dir) =
        (world.file("a.toml", "[[service]]\nname = \"a\"\nkind = \"echo\""), world.text("data"));
    let mut home = world.relay("home", &[&file, "-connect=ws://127.0.0.1:9", "--data-dir", &dir]);
    home.says("listening on").await;
    let said = home.said();
    let first = said.lines().next().unwrap();
    assert!(first.contains("Starting as Home Relay with auto-generated node ID home-"), "{first}");
}
