//! Both ends of a new connection prove their keys, before either says more: [`wire::Challenge`] and [`wire::Proof`].

use std::net::SocketAddr;

use futures_util::{SinkExt, StreamExt};
use rand::Rng as _;
use tokio_tungstenite::tungstenite::Message;

use super::Switchboard;
use super::session::Socket;
use crate::env::Env;
use crate::federation::{Claim, Failure, LinkRole, Refusal};
use crate::wire::{
    self, Body, Challenge, End, Frame, Handshake, Header, Hex, NodeAddress, NodeKind, Nonce, Party, PublicKey,
};

/// Why no handshake came about.
#[derive(Debug)]
pub(super) enum Trouble {
    /// The other side is not let in, or does not keep to the protocol. It is to be told.
    Failed(Failure),
    /// The other side does not let us in.
    Refused(String),
    /// The connection broke or was closed.
    Ended(String),
    /// The other side has this node's own id.
    Myself,
}

impl From<Failure> for Trouble {
    fn from(failure: Failure) -> Self {
        Trouble::Failed(failure)
    }
}

impl From<Refusal> for Trouble {
    fn from(refusal: Refusal) -> Self {
        Trouble::Failed(refusal.into())
    }
}

/// The other end of a connection, which has proven its key and may come in.
pub(super) struct Met {
    /// Its address.
    pub(super) address: NodeAddress,
    /// Its key.
    pub(super) key: PublicKey,
}

/// Challenges whoever has dialled from `from`, and proves this node's key in turn. `fits` says whether one of that
/// address may come in here at all.
pub(super) async fn challenge(
    board: &Switchboard,
    socket: &mut Socket,
    role: LinkRole,
    from: SocketAddr,
    fits: impl FnOnce(&Header) -> Result<(), Failure>,
) -> Result<Met, Trouble> {
    let nonce = draw(&board.env);
    let challenge = Challenge { public_key: board.known.keyring.public(), nonce };
    send(board, socket, Body::Challenge(challenge)).await?;
    let Frame { header, body } = receive(socket).await?;
    let Body::Proof(proof) = body else { return Err(unexpected("proof", &body)) };
    fits(&header)?;
    if header.source.id == *board.me() {
        return Err(Trouble::Myself);
    }
    let address = header.source;
    let handshake = Handshake {
        dialler: Party { node: &address.id, kind: address.kind, key: proof.public_key, nonce: proof.nonce },
        acceptor: Party { node: board.me(), kind: board.kind(), key: board.known.keyring.public(), nonce },
    };
    admit(board, &handshake, End::Dialler, &proof, role, from).await?;
    send(board, socket, Body::Proof(board.known.keyring.prove(&handshake, End::Acceptor))).await?;
    let key = proof.public_key;
    Ok(Met { address, key })
}

/// Answers the challenge of whoever was dialled at `to`, and challenges it.
pub(super) async fn answer(
    board: &Switchboard,
    socket: &mut Socket,
    role: LinkRole,
    to: SocketAddr,
) -> Result<Met, Trouble> {
    let Frame { header, body } = receive(socket).await?;
    let Body::Challenge(theirs) = body else { return Err(unexpected("challenge", &body)) };
    let address = header.source;
    if address.id == *board.me() {
        return Err(Trouble::Myself);
    }
    if address.kind != NodeKind::Main {
        return Err(Failure::Malformed(format!("{} says that it is a {}", address.id, address.kind)).into());
    }
    let ours = Party {
        node: board.me(),
        kind: board.kind(),
        key: board.known.keyring.public(),
        nonce: draw(&board.env),
    };
    let handshake = Handshake {
        dialler: ours,
        acceptor: Party {
            node: &address.id,
            kind: address.kind,
            key: theirs.public_key,
            nonce: theirs.nonce,
        },
    };
    send(board, socket, Body::Proof(board.known.keyring.prove(&handshake, End::Dialler))).await?;
    let Frame { header, body } = receive(socket).await?;
    let Body::Proof(proof) = body else { return Err(unexpected("proof", &body)) };
    if header.source.id != address.id {
        return Err(Refusal::NoProof { node: header.source.id }.into());
    }
    admit(board, &handshake, End::Acceptor, &proof, role, to).await?;
    Ok(Met { address, key: theirs.public_key })
}

async fn admit(
    board: &Switchboard,
    handshake: &Handshake<'_>,
    end: End,
    proof: &wire::Proof,
    role: LinkRole,
    at: SocketAddr,
) -> Result<(), Trouble> {
    let party = match end {
        End::Dialler => &handshake.dialler,
        End::Acceptor => &handshake.acceptor,
    };
    if !handshake.holds(end, proof) {
        return Err(Refusal::NoProof { node: party.node.clone() }.into());
    }
    let claim = Claim {
        node: party.node,
        role,
        key: party.key,
        on_loopback: at.ip().to_canonical().is_loopback(),
        knows_secret: board.known.keyring.shares_secret(handshake, end, proof),
    };
    Ok(board.known.keyring.admit(&board.env, &claim).await?)
}

fn draw(env: &Env) -> Nonce {
    let mut nonce = [0; 32];
    env.rng("handshake").fill_bytes(&mut nonce);
    Hex(nonce)
}

fn unexpected(wanted: &str, body: &Body) -> Trouble {
    match body {
        Body::Error(report) => Trouble::Refused(report.message.clone()),
        other => Failure::Malformed(format!("expected a {wanted}, not a {}", other.kind())).into(),
    }
}

async fn send(board: &Switchboard, socket: &mut Socket, body: Body) -> Result<(), Trouble> {
    let text = wire::encode(board.message(body));
    socket.send(Message::text(text)).await.map_err(|error| Trouble::Ended(error.to_string()))
}

/// The next message of a connection that is not up yet.
pub(super) async fn receive(socket: &mut Socket) -> Result<Frame, Trouble> {
    let message = loop {
        match socket.next().await {
            // Of no concern to us; they are answered by the library.
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
            other => break other,
        }
    };
    match message {
        Some(Ok(Message::Text(text))) => {
            wire::decode(&text).map_err(|error| Failure::Malformed(error.to_string()).into())
        }
        Some(Ok(Message::Close(frame))) => {
            let reason = frame.map(|frame| frame.reason.to_string()).filter(|reason| !reason.is_empty());
            Err(Trouble::Ended(reason.unwrap_or_else(|| "the other side closed it".into())))
        }
        Some(Ok(_)) => Err(Failure::Malformed("only text frames are spoken here".into()).into()),
        Some(Err(error)) => Err(Trouble::Ended(error.to_string())),
        None => Err(Trouble::Ended("the other side closed it".into())),
    }
}
