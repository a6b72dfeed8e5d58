//! The cases of TLS: nothing here knows which implementation it runs on.

use std::io::{self, ErrorKind};

use relay_node::env::{Env, Stream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::sites::{RIGHT_NAMES, Site};

/// A raw stream from the left host to the right one.
async fn connect(site: &Site) -> (Stream, Stream) {
    let mut listener = site.right.network.listen(site.right_any_port()).await.unwrap();
    let left = site.left.network.dial(listener.local_addr()).await.unwrap();
    let (right, _) = listener.accept().await.unwrap();
    (left, right)
}

/// The left host dials `name` and meets `server`: what each of the two has.
async fn shake_hands(site: &Site, name: &str, server: &Env) -> (io::Result<Stream>, io::Result<Stream>) {
    let (left, right) = connect(site).await;
    tokio::join!(site.left.network.secure_client(left, name), server.network.secure_server(right))
}

fn refusal(result: io::Result<Stream>) -> String {
    let error = result.err().expect("no TLS");
    assert_eq!(error.kind(), ErrorKind::InvalidData, "{error}");
    error.to_string()
}

pub(crate) async fn tls_carries_what_is_sent_both_ways(site: Site) {
    for name in RIGHT_NAMES {
        let (left, right) = shake_hands(&site, name, &site.right).await;
        let (mut left, mut right) = (left.unwrap(), right.unwrap());
        let sent: Vec<u8> = (0..300_000_u32).map(|at| at.to_le_bytes()[1]).collect();
        let exchange = async {
            left.write_all(&sent).await.unwrap();
            left.shutdown().await.unwrap();
            let mut answer = String::new();
            left.read_to_string(&mut answer).await.unwrap();
            answer
        };
        let echo = async {
            let mut got = Vec::new();
            right.read_to_end(&mut got).await.unwrap();
            right.write_all(b"thank you").await.unwrap();
            right.shutdown().await.unwrap();
            got
        };
        let (answer, got) = tokio::join!(exchange, echo);
        assert!(got == sent, "{} of {} bytes", got.len(), sent.len());
        assert_eq!(answer, "thank you");
    }
}

pub(crate) async fn a_certificate_for_another_name_is_refused(site: Site) {
    let (left, right) = shake_hands(&site, "wrong.test", &site.right).await;
    let words = refusal(left);
    assert!(words.contains("is not for wrong.test, but for") && words.contains("right.test"), "{words}");
    assert!(refusal(right).contains("the client does not take this host's certificate"));
}

pub(crate) async fn a_certificate_of_an_unknown_issuer_is_refused(site: Site) {
    let (left, right) = shake_hands(&site, "right.test", &site.impostors.unknown).await;
    let words = refusal(left);
    assert!(words.contains("issuer that is not trusted here; -tls-ca FILE adds one"), "{words}");
    assert!(refusal(right).contains("the client does not take this host's certificate"));
}

pub(crate) async fn an_expired_certificate_is_refused(site: Site) {
    let (left, right) = shake_hands(&site, "right.test", &site.impostors.expired).await;
    assert!(refusal(left).contains("its certificate has expired"));
    assert!(refusal(right).contains("the client does not take this host's certificate"));
}

pub(crate) async fn without_a_certificate_there_is_no_server(site: Site) {
    let (_left, right) = connect(&site).await;
    let error = site.left.network.secure_server(right).await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.to_string().contains("-tls-cert and -tls-key"), "{error}");
}

pub(crate) async fn plain_text_is_no_tls(site: Site) {
    let (left, mut right) = connect(&site).await;
    let plain_server = async {
        let _ = right.read(&mut [0; 5]).await;
        right.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
        right
    };
    let (client, _right) = tokio::join!(site.left.network.secure_client(left, "right.test"), plain_server);
    assert!(refusal(client).contains("what answers speaks no TLS"));

    let (mut left, right) = connect(&site).await;
    left.write_all(b"GET /health HTTP/1.1\r\nhost: right.test\r\n\r\n").await.unwrap();
    assert!(refusal(site.right.network.secure_server(right).await).contains("the client speaks no TLS"));
}

pub(crate) async fn a_handshake_that_is_cut_short_is_an_error(site: Site) {
    let (left, right) = connect(&site).await;
    drop(right);
    let error = site.left.network.secure_client(left, "right.test").await.err().unwrap();
    let expected = [ErrorKind::UnexpectedEof, ErrorKind::ConnectionReset, ErrorKind::BrokenPipe];
    assert!(expected.contains(&error.kind()), "{error:?}");
    let (left, right) = connect(&site).await;
    drop(left);
    let error = site.right.network.secure_server(right).await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::UnexpectedEof, "{error:?}");
}

pub(crate) async fn what_is_no_name_cannot_be_asked_for(site: Site) {
    for name in ["", "two words"] {
        let (left, _right) = connect(&site).await;
        let error = site.left.network.secure_client(left, name).await.err().unwrap();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error:?}");
    }
}
