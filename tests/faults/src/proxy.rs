//! A TCP proxy between the clients and the server. It can cut all connections, or leave them without an answer.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use anyhow::Result;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// The proxy. It listens on a port of 127.0.0.1 until it is dropped.
pub struct Proxy {
    address: SocketAddr,
    target: Arc<Mutex<u16>>,
    state: watch::Sender<State>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// Data passes. The number counts the cuts.
    Passing(u32),
    /// Connections stay open, but no data passes.
    Silent(u32),
}

impl Proxy {
    /// Starts a proxy to a port of 127.0.0.1.
    pub async fn start(target: u16) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let target = Arc::new(Mutex::new(target));
        let (state, watched) = watch::channel(State::Passing(0));
        let to = Arc::clone(&target);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let port = *to.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
                let watched = watched.clone();
                tokio::spawn(async move {
                    let _ = serve(client, port, watched).await;
                });
            }
        });
        Ok(Self { address, target, state })
    }

    /// Returns the port that the proxy listens on.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Leads new connections to another port.
    pub fn lead_to(&self, port: u16) {
        *self.target.lock().unwrap_or_else(|poisoned| poisoned.into_inner()) = port;
    }

    /// Closes all connections, whatever passes through them.
    pub fn cut(&self) {
        self.state.send_modify(|state| *state = State::Passing(state.cuts() + 1));
    }

    /// Lets no data pass until the next cut.
    pub fn fall_silent(&self) {
        self.state.send_modify(|state| *state = State::Silent(state.cuts()));
    }
}

impl State {
    fn cuts(self) -> u32 {
        match self {
            Self::Passing(cuts) | Self::Silent(cuts) => cuts,
        }
    }
}

/// Passes data between both sides until one ends or the connection is cut.
async fn serve(mut client: TcpStream, port: u16, mut state: watch::Receiver<State>) -> Result<()> {
    let cuts = state.borrow().cuts();
    let mut server = TcpStream::connect(("127.0.0.1", port)).await?;
    // Without this, the rest of the data would still arrive after the cut.
    client.set_zero_linger()?;
    server.set_zero_linger()?;
    loop {
        let now = *state.borrow_and_update();
        if now.cuts() != cuts {
            return Ok(());
        }
        tokio::select! {
            ended = copy_bidirectional(&mut client, &mut server), if now == State::Passing(cuts) => {
                ended?;
                return Ok(());
            }
            changed = state.changed() => changed?,
        }
    }
}
