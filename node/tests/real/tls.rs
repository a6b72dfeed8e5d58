//! TLS between relays and to their clients: certificates of an authority that the test makes.

use std::fs;
use std::sync::Arc;

use hyper::header::HOST;
use hyper::{Method, Request};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::http::{exchange, get, remote_call, send};
use crate::world::{Process, Relay, World, eventually, fixed, lists};

/// A certificate authority, and what it signs.
pub(crate) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        Authority { issuer }
    }

    /// Its own certificate as a file of this world.
    pub(crate) fn file(&self, world: &World, name: &str) -> String {
        world.file(name, &self.issuer.pem())
    }

    /// Signs a certificate for these names: the certificate and its key, in PEM.
    fn sign(&self, params: CertificateParams) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        (certificate.pem(), key.serialize_pem())
    }

    /// Signs a certificate for these names, as two files of this world.
    pub(crate) fn files(&self, world: &World, stem: &str, names: &[&str]) -> (String, String) {
        let (certificate, key) = self.sign(for_names(names));
        (world.file(&format!("{stem}.pem"), &certificate), world.file(&format!("{stem}.key"), &key))
    }
}

fn for_names(names: &[&str]) -> CertificateParams {
    CertificateParams::new(names.iter().map(ToString::to_string).collect::<Vec<_>>()).unwrap()
}

const LOOPBACK: [&str; 2] = ["localhost", "127.0.0.1"];

/// Starts a Main with a certificate for loopback.
async fn secure_main(world: &World, name: &str, authority: &Authority, more: &[&str]) -> Relay {
    let (certificate, key) = authority.files(world, name, &LOOPBACK);
    let mut args = vec!["-tls-cert", &certificate, "-tls-key", &key];
    args.extend(more);
    world.main(name, &args).await
}

/// A request over TLS as any client makes it: the status, the body, and the certificate that was shown.
async fn https(relay: &Relay, authority: &Authority, path: &str) -> (u16, Value, CertificateDer<'static>) {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(authority.issuer.pem().as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = config.with_root_certificates(roots).with_no_client_auth();
    let stream = TcpStream::connect(&relay.at).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap();
    let shown = stream.get_ref().1.peer_certificates().unwrap()[0].clone().into_owned();
    let request = Request::get(path).header(HOST, "localhost").body(String::new()).unwrap();
    let response = exchange(stream, request).await.unwrap();
    (response.status().as_u16(), serde_json::from_str(response.body()).unwrap(), shown)
}

/// Runs `relay` to its end: exit code and everything that it said.
async fn run(world: &World, args: &[&str]) -> (Option<i32>, String) {
    let mut process: Process = world.relay("run", args);
    (process.ended().await.code(), process.said())
}

#[tokio::test]
async fn homes_mains_and_clients_meet_over_tls() {
    let world = World::new();
    let authority = Authority::new("the relays' own");
    let ca = authority.file(&world, "ca.pem");
    let mut a = secure_main(&world, "relay-a", &authority, &[]).await;
    assert!(a.tls && a.process.said().contains("-advertise wss://NAME:PORT"), "{}", a.process.said());
    let b = secure_main(&world, "relay-b", &authority, &["-tls-ca", &ca, "-peers", &a.url()]).await;
    let by_name = a.url().replace("127.0.0.1", "localhost");
    let alice = world.home("alice.home", &by_name, &fixed("blog", "get = 1"), &["-tls-ca", &ca]).await;
    let bob = world.home("bob.home", &b.url(), &fixed("shop", "get = 2"), &["-tls-ca", &ca]).await;
    let call = json!({ "node_id": "bob.home", "server_name": "shop", "method": "get", "trace": true });
    let reply = eventually("alice reaches bob over three hops", async || {
        let reply = remote_call(&alice.at, call.clone()).await;
        reply["error"].is_null().then_some(reply)
    })
    .await;
    assert_eq!((&reply["result"], &reply["trace"]["hops"]), (&json!(2), &json!(3)), "{reply}");

    let (status, registry, _) = https(&a, &authority, "/registry").await;
    assert_eq!((status, &registry["node_address"]), (200, &json!(a.url())));
    // It was the other that dialled: the address is what it said of itself, and that has a scheme.
    let (_, peers, _) = https(&a, &authority, "/federation/peers").await;
    assert_eq!(peers["peers"][0]["address"], json!(b.url()), "{peers}");

    a.process.terminate();
    assert_eq!(a.process.ended().await.code(), Some(0), "{}", a.process.said());
    drop(bob);
}

#[tokio::test]
async fn a_mesh_grows_over_tls() {
    let world = World::new();
    let authority = Authority::new("the relays' own");
    let ca = authority.file(&world, "ca.pem");
    let a = secure_main(&world, "relay-a", &authority, &["-tls-ca", &ca]).await;
    let _b = secure_main(&world, "relay-b", &authority, &["-tls-ca", &ca, "-peers", &a.url()]).await;
    let c = secure_main(&world, "relay-c", &authority, &["-tls-ca", &ca, "-peers", &a.url()]).await;
    eventually("b and c hear of each other from a, and one dials the other by wss://", async || {
        let (_, peers, _) = https(&c, &authority, "/federation/peers").await;
        let peers = peers["peers"].as_array().cloned().unwrap_or_default();
        let up = peers.iter().filter(|peer| peer["status"] == "connected");
        (up.filter(|peer| peer["address"].as_str().is_some_and(|at| at.starts_with("wss://"))).count() == 2)
            .then_some(())
    })
    .await;
}

#[tokio::test]
async fn whoever_is_not_trusted_is_refused_in_words() {
    let world = World::new();
    let (ours, theirs) = (Authority::new("ours"), Authority::new("theirs"));
    let (our_ca, their_ca) = (ours.file(&world, "ours.pem"), theirs.file(&world, "theirs.pem"));
    let mut main = secure_main(&world, "relay-a", &ours, &[]).await;
    let home = async |name: &str, url: &str, ca: &str| {
        world.home(name, url, &fixed("blog", "get = 1"), &["-tls-ca", ca]).await.process
    };
    let mut stranger = home("stranger.home", &main.url(), &their_ca).await;
    let words = "its certificate is of an issuer that is not trusted here; -tls-ca FILE adds one";
    stranger.says(&format!("no TLS with {}: {words}", main.at)).await;
    main.process.says("no TLS: the client does not take this host's certificate: UnknownCA").await;

    let (certificate, key) = ours.files(&world, "elsewhere", &["relay-a.com"]);
    let elsewhere = world.main("elsewhere", &["-tls-cert", &certificate, "-tls-key", &key]).await;
    let mut lost = home("lost.home", &elsewhere.url(), &our_ca).await;
    lost.says("its certificate is not for 127.0.0.1, but for").await;

    let mut params = for_names(&LOOPBACK);
    params.not_after = rcgen::date_time_ymd(2020, 1, 1);
    let (certificate, key) = ours.sign(params);
    let (certificate, key) = (world.file("old.pem", &certificate), world.file("old.key", &key));
    let old = world.main("old", &["-tls-cert", &certificate, "-tls-key", &key]).await;
    let mut late = home("late.home", &old.url(), &our_ca).await;
    late.says("its certificate has expired,").await;
}

#[tokio::test]
async fn plain_and_tls_are_told_apart_on_both_sides() {
    let world = World::new();
    let authority = Authority::new("the relays' own");
    let ca = authority.file(&world, "ca.pem");
    let mut secure = secure_main(&world, "secure", &authority, &[]).await;
    let mut plain = world.main("plain", &[]).await;

    let answer = send(&secure.at, Method::GET, "/health", String::new()).await.unwrap();
    assert_eq!(
        (answer.status().as_u16(), answer.body().as_str()),
        (400, "this port speaks TLS: use https:// or wss://\n")
    );
    secure.process.says("a client spoke plain text; this port is for https:// and wss://").await;
    let url = format!("ws://{}", secure.at);
    let mut home = world.home("one.home", &url, &fixed("blog", "get = 1"), &[]).await;
    home.process.says(&format!("{url} refuses: HTTP 400 this port speaks TLS")).await;

    let url = format!("wss://{}", plain.at);
    let mut home = world.home("two.home", &url, &fixed("blog", "get = 1"), &["-tls-ca", &ca]).await;
    home.process.says("what answers speaks no TLS; is it a plain ws:// or http:// port?").await;
    plain.process.says("perhaps TLS: this port speaks plain http:// and ws://").await;

    // Somebody who connects and says nothing holds up nobody.
    let mut silent = TcpStream::connect(&secure.at).await.unwrap();
    assert_eq!(https(&secure, &authority, "/health").await.0, 200);
    silent.write_all(&[0x16]).await.unwrap();
    assert_eq!(https(&secure, &authority, "/health").await.0, 200);
    drop(silent);
    let mut garbage = TcpStream::connect(&secure.at).await.unwrap();
    garbage.write_all(&[0x16; 64]).await.unwrap();
    let mut answer = Vec::new();
    // An alert or a reset; not a hanging connection.
    let _ = garbage.read_to_end(&mut answer).await;
    assert_eq!(https(&secure, &authority, "/health").await.0, 200);
}

#[tokio::test]
async fn a_replaced_certificate_is_shown_to_the_next_who_connects() {
    let world = World::new();
    let (old, new) = (Authority::new("old"), Authority::new("new"));
    let both = world.file("both.pem", &format!("{}{}", old.issuer.pem(), new.issuer.pem()));
    let mut main = secure_main(&world, "relay-a", &old, &[]).await;
    let alice = world.home("alice.home", &main.url(), &fixed("blog", "get = 1"), &["-tls-ca", &both]).await;
    let (_, before, shown) = https(&main, &old, "/health").await;

    // The key comes late, as it does where two files are copied: until then the old pair is shown.
    let (certificate, key) = new.sign(for_names(&LOOPBACK));
    let replace = |name: &str, text: &str| {
        let fresh = world.file("fresh", text);
        fs::rename(fresh, world.path(name)).unwrap();
    };
    replace("relay-a.pem", &certificate);
    eventually("the Main says that the pair does not fit", async || {
        assert_eq!(https(&main, &old, "/health").await.2, shown);
        main.process.said().contains("this is not the key of the certificate in").then_some(())
    })
    .await;
    replace("relay-a.key", &key);
    let expected = CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap();
    main.process.says("this is not the key of the certificate").await;
    eventually("the new certificate is shown", async || {
        // Whichever it shows, this client trusts.
        let shown = shown_by(&main).await;
        (shown == expected).then_some(())
    })
    .await;
    let (_, after, _) = https(&main, &new, "/health").await;
    assert_eq!(before["public_key"], after["public_key"], "it was not started anew");
    assert_eq!(after["links"], 1, "whoever is connected stays");
    main.process.says("read anew, for it had changed").await;
    let call = json!({ "service_name": "blog", "method": "get" });
    assert_eq!(remote_call(&alice.at, call).await["result"], 1);
}

/// The certificate that a relay shows, whatever it is worth.
async fn shown_by(relay: &Relay) -> CertificateDer<'static> {
    let shown = Arc::new(std::sync::Mutex::new(None));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let looks = Arc::new(Looks { shown: Arc::clone(&shown) });
    let config = config.dangerous().with_custom_certificate_verifier(looks).with_no_client_auth();
    let stream = TcpStream::connect(&relay.at).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    // The verifier refuses all, once it has seen what it wanted.
    assert!(TlsConnector::from(Arc::new(config)).connect(name, stream).await.is_err());
    let mut shown = shown.lock().unwrap();
    shown.take().expect("a certificate is shown before it is refused")
}

#[derive(Debug)]
struct Looks {
    shown: Arc<std::sync::Mutex<Option<CertificateDer<'static>>>>,
}

impl rustls::client::danger::ServerCertVerifier for Looks {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: rustls::pki_types::UnixTime,
    ) -> Result<rustls::client::danger::ServerCertVerified, rustls::Error> {
        *self.shown.lock().unwrap() = Some(end_entity.clone().into_owned());
        Err(rustls::Error::General("only looking".into()))
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        Err(rustls::Error::General("never reached".into()))
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        Err(rustls::Error::General("never reached".into()))
    }

    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        rustls::crypto::ring::default_provider().signature_verification_algorithms.supported_schemes()
    }
}

#[tokio::test]
async fn files_that_cannot_be_used_are_named_at_the_start() {
    let world = World::new();
    let authority = Authority::new("the relays' own");
    let (certificate, key) = authority.files(&world, "one", &LOOPBACK);
    let (_, other_key) = authority.files(&world, "two", &LOOPBACK);
    let (text, ca) = (world.file("text", "hello\n"), authority.file(&world, "ca.pem"));
    let gone = world.text("gone.pem");
    for (args, words) in [
        (&["-tls-cert", &*gone, "-tls-key", &*key][..], format!("-tls-cert {gone}: No such file")),
        (&["-tls-cert", &certificate, "-tls-key", &gone], format!("-tls-key {gone}: No such file")),
        (&["-tls-cert", &text, "-tls-key", &key], format!("-tls-cert {text}: there is no certificate in it")),
        (
            &["-tls-cert", &certificate, "-tls-key", &text],
            format!("-tls-key {text}: there is no private key in it"),
        ),
        (
            &["-tls-cert", &certificate, "-tls-key", &other_key],
            format!("-tls-key {other_key}: this is not the key of the certificate in {certificate}"),
        ),
        (&["-tls-ca", &key], format!("-tls-ca {key}: there is no certificate in it")),
        (&["-tls-cert", &certificate], "-tls-cert: it needs -tls-key FILE beside it".to_owned()),
    ] {
        let mut all = vec!["-server", "-host", "127.0.0.1", "-port", "0"];
        all.extend(args);
        let (code, said) = run(&world, &all).await;
        assert_eq!(code, Some(64), "{args:?}: {said}");
        assert!(said.contains(&words), "{args:?} should say {words}: {said}");
    }
    let (code, said) =
        run(&world, &["-connect", "wss://localhost", "-tls-cert", &certificate, "-tls-key", &key]).await;
    assert_eq!(code, Some(64), "{said}");
    assert!(said.contains("-tls-cert and -connect contradict each other"), "{said}");
    assert!(fs::metadata(ca).is_ok());
}

#[tokio::test]
async fn an_upstream_may_speak_https() {
    let world = World::new();
    let authority = Authority::new("the relays' own");
    let ca = authority.file(&world, "ca.pem");
    // A Main's own `/rpc` is as good an upstream as any.
    let file = world.file("echo.toml", "[[service]]\nname = \"echo\"\nkind = \"echo\"\n");
    let upstream = secure_main(&world, "upstream", &authority, &[&file]).await;
    let service = format!(
        "[[service]]\nname = \"far\"\nkind = \"http\"\nupstream = \"https://localhost:{}/rpc\"\n",
        upstream.port()
    );
    let main = world.main("relay-a", &[]).await;
    let home = world.home("alice.home", &main.url(), &service, &["-tls-ca", &ca]).await;
    lists(&main, &["far@alice.home local"]).await;
    let call = json!({ "service_name": "far", "method": "echo.say", "args": ["over TLS"] });
    let reply = remote_call(&main.at, call.clone()).await;
    assert_eq!(reply["result"], json!(["over TLS"]), "{reply}");
    assert_eq!(get(&home.at, "/ready").await["ready"], true);
}
