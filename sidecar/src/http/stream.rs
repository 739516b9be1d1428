//! Bodies that are written while the client reads them.

use std::io::{self, Write};
use std::time::Duration;

use axum::body::Body;
use axum::http::Method;
use bytes::Bytes;
use futures_util::stream;
use tokio::runtime::Handle;
use tokio::sync::mpsc;

use crate::error::{ApiError, Code};

/// Refuses HEAD for an answer that is made while the client reads it. axum would make the whole answer and discard it, and
/// the audit log would say that events were exported.
///
/// # Errors
/// Fails with `method_not_allowed`. `what` names the answer, such as `a pack`.
pub fn refuse_head(method: &Method, what: &str) -> Result<(), ApiError> {
    if method == Method::HEAD {
        return Err(
            ApiError::new(Code::MethodNotAllowed, format!("{what} does not support HEAD")).with_hint("Use GET.")
        );
    }
    Ok(())
}

/// The sender of the chunks of a body. If it is dropped without [`ChunkSender::finish`], the body is aborted, so that
/// the client can see that it is not complete.
#[derive(Clone)]
pub struct ChunkSender {
    chunks: mpsc::Sender<Option<Bytes>>,
    stall_timeout: Duration,
}

/// Errors of sending a chunk.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The client has closed the connection.
    #[error("the client closed the connection")]
    Gone,
    /// The client has read nothing for longer than the time-out.
    #[error("the client read nothing for too long")]
    Stalled,
}

/// Creates a body and the sender of its chunks. At most a few chunks are buffered.
pub fn body(stall_timeout: Duration) -> (ChunkSender, Body) {
    let (chunks, received) = mpsc::channel(4);
    let stream = stream::unfold(Some(received), async |received: Option<mpsc::Receiver<Option<Bytes>>>| {
        let mut received = received?;
        match received.recv().await {
            Some(Some(chunk)) => Some((Ok(chunk), Some(received))),
            Some(None) => None,
            None => Some((Err(io::Error::other("the stream was aborted")), None)),
        }
    });
    (ChunkSender { chunks, stall_timeout }, Body::from_stream(stream))
}

impl ChunkSender {
    /// Sends a chunk as soon as the client has read enough of the previous ones.
    ///
    /// # Errors
    /// Fails if the client is gone or stalls.
    pub async fn send(&self, chunk: impl Into<Bytes>) -> Result<(), Error> {
        self.put(Some(chunk.into())).await
    }

    /// Completes the body.
    ///
    /// # Errors
    /// Returns the same errors as [`ChunkSender::send`].
    pub async fn finish(self) -> Result<(), Error> {
        self.put(None).await
    }

    /// Returns a writer into the same body, for a thread that may block. It must be called in the runtime.
    pub fn writer(&self) -> ChunkWriter {
        ChunkWriter { sender: self.clone(), runtime: Handle::current() }
    }

    async fn put(&self, chunk: Option<Bytes>) -> Result<(), Error> {
        match tokio::time::timeout(self.stall_timeout, self.chunks.send(chunk)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(Error::Gone),
            Err(_) => Err(Error::Stalled),
        }
    }

    /// Waits until the client is gone.
    pub async fn gone(&self) {
        self.chunks.closed().await;
    }
}

/// A writer into a body, for a thread that may block. Each write is a chunk.
pub struct ChunkWriter {
    sender: ChunkSender,
    runtime: Handle,
}

impl Write for ChunkWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let kind = |error: &Error| match error {
            Error::Gone => io::ErrorKind::BrokenPipe,
            Error::Stalled => io::ErrorKind::TimedOut,
        };
        let sent = self.runtime.block_on(self.sender.send(Bytes::copy_from_slice(bytes)));
        sent.map(|()| bytes.len()).map_err(|error| io::Error::new(kind(&error), error))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Error, body};

    #[tokio::test]
    async fn a_body_ends_well_only_when_it_is_finished() {
        let (sender, finished) = body(Duration::from_secs(5));
        sender.send("a").await.unwrap();
        sender.finish().await.unwrap();
        assert_eq!(axum::body::to_bytes(finished, 10).await.unwrap(), "a");

        let (sender, dropped) = body(Duration::from_secs(5));
        sender.send("a").await.unwrap();
        drop(sender);
        assert!(axum::body::to_bytes(dropped, 10).await.is_err());
    }

    #[tokio::test]
    async fn a_client_that_leaves_or_stalls_is_noticed() {
        let (sender, stalled) = body(Duration::from_millis(10));
        let mut sent = Ok(());
        while sent.is_ok() {
            sent = sender.send("a").await;
        }
        assert_eq!(sent, Err(Error::Stalled));
        drop(stalled);
        sender.gone().await;
        assert_eq!(sender.send("a").await, Err(Error::Gone));
    }
}
