//! A stream that begins with what has been read of it already.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, ReadBuf};

use crate::env::{Stream, write_through};

/// A stream of which the beginning has been read already.
pub(super) struct Rewound {
    pub(super) read: Bytes,
    pub(super) stream: Stream,
}

impl AsyncRead for Rewound {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.read.is_empty() {
            return Pin::new(&mut self.stream).poll_read(context, into);
        }
        let bytes = self.read.len().min(into.remaining());
        into.put_slice(&self.read[..bytes]);
        self.read.advance(bytes);
        if self.read.is_empty() {
            // Links live long, and their number is large.
            self.read = Bytes::new();
        }
        Poll::Ready(Ok(()))
    }
}

write_through!(Rewound);
