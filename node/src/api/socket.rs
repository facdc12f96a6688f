//! The Unix socket: only its owner gets in, a stale one is taken over, a second daemon is refused.

use super::error::{Code, UserError};
use axum::serve::Listener;
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Longest socket path in bytes: `sockaddr_un` holds 108 with the closing zero (unix(7)).
pub const SOCKET_PATH_MAX: usize = 107;

/// Connections served at once; more wait in the kernel's backlog.
const CONNECTIONS_MAX: usize = 256;

/// A bound socket, removed from the file system when it is dropped.
#[derive(Debug)]
pub struct Socket {
    listener: UnixListener,
    path: PathBuf,
    /// The file that this process made, so that nobody else's is removed.
    inode: u64,
    /// Whose processes get in.
    owner: u32,
    connections: Arc<Semaphore>,
}

impl Socket {
    /// Binds the socket for processes of this process's own user.
    ///
    /// Its folder is made with mode 0700 if missing, the socket gets 0600, and a socket that nobody answers on is
    /// replaced.
    ///
    /// # Errors
    /// `socket_path_too_long`, `profile_in_use` if somebody answers, `not_permitted` if others can write to the folder
    /// or the file is not a socket, `io`.
    pub fn bind(path: &Path) -> Result<Self, UserError> {
        Self::bind_for(path, rustix::process::geteuid().as_raw())
    }

    /// Binds the socket for processes of one user.
    fn bind_for(path: &Path, owner: u32) -> Result<Self, UserError> {
        check_length(path)?;
        let folder = path.parent().unwrap_or(Path::new("."));
        own_folder(folder)?;
        reclaim(path)?;
        let listener = UnixListener::bind(path).map_err(|e| io_error(path, "bind the socket", &e))?;
        // Between bind and this line only the folder's 0700 guards the socket; it is enough.
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))
            .map_err(|e| io_error(path, "protect the socket", &e))?;
        let inode = std::fs::symlink_metadata(path).map_err(|e| io_error(path, "look at the socket", &e))?.ino();
        let connections = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        Ok(Self { listener, path: path.to_owned(), inode, owner, connections })
    }

    /// Returns where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        if std::fs::symlink_metadata(&self.path).is_ok_and(|m| m.ino() == self.inode) {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// Refuses a path that the system would refuse with a riddle.
pub(crate) fn check_length(path: &Path) -> Result<(), UserError> {
    let length = path.as_os_str().len();
    if length <= SOCKET_PATH_MAX {
        return Ok(());
    }
    Err(UserError::new(
        Code::SocketPathTooLong,
        format!("the socket's path has {length} bytes, the system allows {SOCKET_PATH_MAX}: {}", path.display()),
    )
    .hint("use a shorter --home, or set XDG_RUNTIME_DIR to a folder of yours"))
}

/// Makes the folder with 0700, or checks that nobody else can put a file into it.
fn own_folder(folder: &Path) -> Result<(), UserError> {
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .map_err(|e| io_error(folder, "make the folder", &e))?;
    let meta = std::fs::metadata(folder).map_err(|e| io_error(folder, "look at the folder", &e))?;
    let me = rustix::process::geteuid().as_raw();
    if meta.uid() != me || meta.mode() & 0o022 != 0 {
        return Err(UserError::new(
            Code::NotPermitted,
            format!("other users can write to the socket's folder {}", folder.display()),
        )
        .hint(format!("chmod 700 {}", folder.display())));
    }
    Ok(())
}

/// Removes a socket on which nobody answers.
fn reclaim(path: &Path) -> Result<(), UserError> {
    let Ok(meta) = std::fs::symlink_metadata(path) else { return Ok(()) };
    if !meta.file_type().is_socket() {
        return Err(UserError::new(Code::NotPermitted, format!("{} is there and is not a socket", path.display()))
            .hint("move it away"));
    }
    match std::os::unix::net::UnixStream::connect(path) {
        Ok(_) => Err(UserError::new(Code::ProfileInUse, format!("a daemon answers on {}", path.display()))
            .hint("talk to it with `kith status`, stop it with `kith stop`")),
        Err(e) if matches!(e.kind(), io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound) => {
            match std::fs::remove_file(path) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => Err(io_error(path, "remove the stale socket", &e)),
                _ => Ok(()),
            }
        }
        Err(e) => Err(io_error(path, "try the socket", &e)),
    }
}

/// Says what could not be done with a file.
fn io_error(path: &Path, what: &str, error: &io::Error) -> UserError {
    let code = Code::of_io(error.kind());
    UserError::new(code, format!("could not {what} {}: {error}", path.display())).hint("kith doctor")
}

impl Listener for Socket {
    type Io = Connection;
    type Addr = ();

    async fn accept(&mut self) -> (Connection, ()) {
        loop {
            // The semaphore is never closed; a permit may take until a connection ends.
            let Ok(permit) = Arc::clone(&self.connections).acquire_owned().await else { continue };
            match self.listener.accept().await {
                Ok((stream, _)) if belongs_to(&stream, self.owner) => {
                    return (Connection { stream, _permit: permit }, ());
                }
                Ok(_) => tracing::warn!("a process of another user tried the socket and was refused"),
                Err(error) => {
                    // Out of file descriptors, for one: wait instead of spinning.
                    tracing::warn!(kind = ?error.kind(), "the socket did not take a connection");
                    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<()> {
        Ok(())
    }
}

/// Asks the kernel who connected (SO_PEERCRED); no answer counts as somebody else.
fn belongs_to(stream: &UnixStream, owner: u32) -> bool {
    stream.peer_cred().is_ok_and(|cred| cred.uid() == owner)
}

/// One connection, with the place it takes.
pub struct Connection {
    stream: UnixStream,
    _permit: OwnedSemaphorePermit,
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tempfile::tempdir;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).unwrap().mode() & 0o777
    }

    #[tokio::test]
    async fn socket_and_folder_are_the_owners_alone_and_the_socket_goes_with_it() {
        let dir = tempdir().unwrap();
        let path = dir.path().join("run/kith.sock");
        let socket = Socket::bind(&path).unwrap();
        assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
        drop(socket);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn a_stale_socket_is_taken_over_and_a_live_one_is_not() {
        let dir = tempdir().unwrap();
        let path = dir.path().join("kith.sock");
        // What a killed daemon leaves behind: a socket file without a listener.
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        assert!(path.exists());
        let live = Socket::bind(&path).unwrap();
        let error = Socket::bind(&path).unwrap_err();
        assert_eq!(error.code, Code::ProfileInUse);
        assert!(error.hint.contains("kith stop"));
        assert!(path.exists(), "the refused one removed the live socket");
        drop(live);
    }

    #[tokio::test]
    async fn another_users_process_gets_no_answer() {
        let dir = tempdir().unwrap();
        let path = dir.path().join("kith.sock");
        let somebody_else = rustix::process::geteuid().as_raw() + 1;
        let mut socket = Socket::bind_for(&path, somebody_else).unwrap();
        let server = tokio::spawn(async move { socket.accept().await });
        let mut client = UnixStream::connect(&path).await.unwrap();
        let _ = client.write_all(b"GET /v1/status HTTP/1.1\r\nhost: x\r\n\r\n").await;
        let mut answer = Vec::new();
        let _ = client.read_to_end(&mut answer).await;
        assert!(answer.is_empty());
        assert!(!server.is_finished(), "it was let in");
        server.abort();
    }

    #[test]
    fn a_file_of_somebody_elses_making_is_left_alone() {
        let dir = tempdir().unwrap();
        let path = dir.path().join("kith.sock");
        std::fs::write(&path, "precious").unwrap();
        assert_eq!(reclaim(&path).unwrap_err().code, Code::NotPermitted);
        assert_eq!(std::fs::read(&path).unwrap(), b"precious");
    }

    #[tokio::test]
    async fn a_folder_that_others_write_to_and_a_path_too_long_are_refused_with_what_to_do() {
        let dir = tempdir().unwrap();
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o777)).unwrap();
        let error = Socket::bind(&dir.path().join("kith.sock")).unwrap_err();
        assert_eq!(error.code, Code::NotPermitted);
        assert!(error.hint.starts_with("chmod 700"));
        let error = Socket::bind(&dir.path().join("x".repeat(120))).unwrap_err();
        assert_eq!(error.code, Code::SocketPathTooLong);
        assert!(error.hint.contains("--home"));
    }
}
