//! Reads ahead on busy links.
//!
//! A link's WebSocket reads a little at a time, because thousands of links are idle. Where more comes at once, that is a
//! system call for every few messages. So a read that fills the little buffer is followed by a large one, whose buffer
//! lives as long as the link is busy.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, ReadBuf};

use crate::env::{Stream, write_through};

/// What one large read takes, in bytes.
const AHEAD_BYTES: usize = 32 * 1024;

/// A stream with a buffer for what was read ahead.
pub(super) struct ReadAhead {
    stream: Stream,
    buffer: Option<Box<[u8]>>,
    /// The part of the buffer that has not been taken yet.
    start: usize,
    end: usize,
    /// The last read took all that it had room for: there is more.
    more: bool,
    /// The buffer was of use since there was nothing to read the last time.
    used: bool,
}

impl ReadAhead {
    pub(super) fn boxed(stream: Stream) -> Stream {
        Box::new(ReadAhead { stream, buffer: None, start: 0, end: 0, more: false, used: false })
    }

    /// Gives out what was read ahead.
    fn give(&mut self, into: &mut ReadBuf<'_>) {
        let bytes = into.remaining().min(self.end - self.start);
        if let Some(buffer) = &self.buffer {
            into.put_slice(&buffer[self.start..self.start + bytes]);
        }
        self.start += bytes;
    }

    /// Nothing is there to read. The buffer goes where it was of no use since this happened the last time.
    fn rest(&mut self) {
        if !std::mem::replace(&mut self.used, false) {
            self.buffer = None;
        }
    }
}

impl AsyncRead for ReadAhead {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.start < this.end {
            this.give(into);
            return Poll::Ready(Ok(()));
        }
        if !this.more {
            let read = Pin::new(&mut this.stream).poll_read(context, into);
            match &read {
                Poll::Ready(_) => this.more = into.remaining() == 0,
                Poll::Pending => this.rest(),
            }
            return read;
        }
        let buffer = this.buffer.get_or_insert_with(|| vec![0; AHEAD_BYTES].into_boxed_slice());
        let mut ahead = ReadBuf::new(buffer);
        let read = Pin::new(&mut this.stream).poll_read(context, &mut ahead);
        (this.start, this.end) = (0, ahead.filled().len());
        this.more = ahead.remaining() == 0;
        match read {
            Poll::Ready(Ok(())) => {
                this.used = true;
                this.give(into);
                Poll::Ready(Ok(()))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => {
                this.rest();
                Poll::Pending
            }
        }
    }
}

write_through!(ReadAhead);

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use proptest::prelude::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    /// Whatever is there now.
    fn read_all(stream: &mut Stream, chunk: usize) -> Vec<u8> {
        let mut all = Vec::new();
        let mut some = vec![0; chunk];
        while let Some(Ok(read)) = stream.read(&mut some).now_or_never() {
            all.extend_from_slice(&some[..read]);
            if read == 0 {
                break;
            }
        }
        all
    }

    proptest! {
        #[test]
        fn every_byte_comes_once_and_in_order(
            bursts in proptest::collection::vec(0..3 * AHEAD_BYTES, 1..6),
            chunk in 1usize..9_000,
        ) {
            let (mut far, near) = tokio::io::duplex(4 * AHEAD_BYTES);
            let mut near = ReadAhead::boxed(Box::new(near));
            let mut next = 0u8;
            for burst in bursts {
                let sent: Vec<u8> = (0..burst).map(|_| { next = next.wrapping_mul(5).wrapping_add(1); next }).collect();
                far.write_all(&sent).now_or_never().expect("there is room").unwrap();
                prop_assert_eq!(read_all(&mut near, chunk), sent);
            }
            drop(far);
            prop_assert_eq!(near.read(&mut [0; 8]).now_or_never().unwrap().unwrap(), 0);
        }
    }

    #[test]
    fn an_idle_link_keeps_no_buffer() {
        let (mut far, near) = tokio::io::duplex(4 * AHEAD_BYTES);
        let mut near =
            ReadAhead { stream: Box::new(near), buffer: None, start: 0, end: 0, more: false, used: false };
        let drain = |near: &mut ReadAhead| {
            let mut some = [0; 1_000];
            while let Some(Ok(_)) = near.read(&mut some).now_or_never() {}
        };
        far.write_all(&[1; 5_000]).now_or_never().unwrap().unwrap();
        drain(&mut near);
        assert!(near.buffer.is_some(), "a burst came, and another one may");
        far.write_all(&[1; 10]).now_or_never().unwrap().unwrap();
        drain(&mut near);
        assert!(near.buffer.is_none());
    }
}
