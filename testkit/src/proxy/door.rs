//! A Unix socket that leads to a TCP server: for servers in containers, whose own socket cannot be reached.

use std::io::copy;
use std::net::{Shutdown, TcpStream, ToSocketAddrs};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::{fs, io, thread};

/// A Unix socket that leads to a TCP server. Dropping it removes the socket; open connections continue.
#[derive(Debug)]
pub struct UnixDoor {
    path: PathBuf,
    closed: Arc<AtomicBool>,
    listener: Option<JoinHandle<()>>,
}

impl UnixDoor {
    /// Creates the socket, at a path where nothing exists yet.
    ///
    /// # Errors
    ///
    /// The path exists, is too long or not accessible, or the server's name cannot be looked up.
    pub fn open(path: impl Into<PathBuf>, server: impl ToSocketAddrs) -> io::Result<Self> {
        let (path, closed) = (path.into(), Arc::<AtomicBool>::default());
        let server: Vec<_> = server.to_socket_addrs()?.collect();
        let listener = UnixListener::bind(&path)?;
        let is_closed = Arc::clone(&closed);
        let listener = thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if is_closed.load(Ordering::SeqCst) {
                    return;
                }
                // If the server is away, the client sees the end of its connection.
                if let Ok(server) = TcpStream::connect(&*server) {
                    let _ = pass(client, server);
                }
            }
        });
        Ok(Self { path, closed, listener: Some(listener) })
    }

    /// The path of the socket.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for UnixDoor {
    fn drop(&mut self) {
        self.closed.store(true, Ordering::SeqCst);
        // The thread waits for a client, so it gets one. If none can connect, the thread stays until the process ends.
        if UnixStream::connect(&self.path).is_ok() {
            let _ = self.listener.take().map(JoinHandle::join);
        }
        let _ = fs::remove_file(&self.path);
    }
}

/// Starts to forward bytes both ways. An end from the client closes only its own direction, so the server can still answer.
fn pass(mut client: UnixStream, mut server: TcpStream) -> io::Result<()> {
    let (mut from, mut to) = (server.try_clone()?, client.try_clone()?);
    thread::spawn(move || drop((copy(&mut from, &mut to), to.shutdown(Shutdown::Both))));
    thread::spawn(move || drop((copy(&mut client, &mut server), server.shutdown(Shutdown::Write))));
    Ok(())
}
