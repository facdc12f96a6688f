//! One request over one connection to the socket.

use crate::api::error::{Code, UserError};
use crate::api::types::ErrorBody;
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::{Method, Response};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use std::io;
use std::path::Path;
use tokio::net::UnixStream;

/// Largest answer in bytes: a thousand of the longest messages, escaped.
const ANSWER_MAX: usize = 256 * 1024 * 1024;

/// What to ask.
#[derive(Clone, Debug)]
pub(super) struct Request {
    method: Method,
    path: String,
    body: Bytes,
}

impl Request {
    /// Makes a GET.
    pub(super) fn get(path: &str) -> Self {
        Self { method: Method::GET, path: path.into(), body: Bytes::new() }
    }

    /// Makes a DELETE.
    pub(super) fn delete(path: &str) -> Self {
        Self { method: Method::DELETE, path: path.into(), body: Bytes::new() }
    }

    /// Makes a POST.
    pub(super) fn post(path: &str, body: &impl Serialize) -> Result<Self, UserError> {
        Self::with_body(Method::POST, path, body)
    }

    /// Makes a PATCH.
    pub(super) fn patch(path: &str, body: &impl Serialize) -> Result<Self, UserError> {
        Self::with_body(Method::PATCH, path, body)
    }

    fn with_body(method: Method, path: &str, body: &impl Serialize) -> Result<Self, UserError> {
        let body = serde_json::to_vec(body).map_err(|e| UserError::internal(e.to_string()))?;
        Ok(Self { method, path: path.into(), body: body.into() })
    }
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum Failure {
    /// Nobody listens: the request was not carried out.
    Unreachable(UserError),
    /// The connection broke: whether the request was carried out is unknown.
    Broken(UserError),
    /// The daemon answered with an error.
    Answered(UserError),
}

impl Failure {
    /// Forgets the difference.
    pub(super) fn into_error(self) -> UserError {
        match self {
            Self::Unreachable(error) | Self::Broken(error) | Self::Answered(error) => error,
        }
    }
}

/// Asks, and returns the body of a good answer.
pub(super) async fn call(socket: &Path, request: &Request, key: Option<&str>) -> Result<Bytes, Failure> {
    let response = open(socket, request, key).await?;
    let status = response.status();
    let body = Limited::new(response.into_body(), ANSWER_MAX).collect().await.map_err(|_| broken())?.to_bytes();
    if status.is_success() { Ok(body) } else { Err(Failure::Answered(error_of(&body, status.as_u16()))) }
}

/// Asks, and returns the answer with its body still to come.
pub(super) async fn open(socket: &Path, request: &Request, key: Option<&str>) -> Result<Response<Incoming>, Failure> {
    let stream = UnixStream::connect(socket).await.map_err(|e| Failure::Unreachable(unreachable(socket, &e)))?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|_| broken())?;
    // Ends with the connection: when the answer's body is read or dropped.
    tokio::spawn(connection);
    let mut builder = hyper::Request::builder()
        .method(request.method.clone())
        .uri(&request.path)
        .header("host", "kith")
        .header("content-type", "application/json");
    if let Some(key) = key {
        builder = builder.header("idempotency-key", key);
    }
    let request = builder
        .body(Full::new(request.body.clone()))
        .map_err(|e| Failure::Answered(UserError::new(Code::Usage, format!("the request cannot be written: {e}"))))?;
    sender.send_request(request).await.map_err(|_| broken())
}

/// Reads an error object, whatever came.
pub(super) fn error_of(body: &[u8], status: u16) -> UserError {
    match serde_json::from_slice::<ErrorBody>(body) {
        Ok(body) => body.error,
        Err(_) => UserError::internal(format!("the daemon answered {status} without saying why")),
    }
}

/// Says that the connection broke off.
fn broken() -> Failure {
    Failure::Broken(UserError::new(Code::DaemonUnreachable, "the daemon went away before it answered").hint("kith run"))
}

/// Says why nobody answers.
fn unreachable(socket: &Path, error: &io::Error) -> UserError {
    match error.kind() {
        io::ErrorKind::PermissionDenied => {
            UserError::new(Code::NotPermitted, format!("the socket {} belongs to another user", socket.display()))
                .hint("run kith as the user who runs the daemon")
        }
        io::ErrorKind::InvalidInput => {
            UserError::new(Code::SocketPathTooLong, format!("no socket can lie at {}", socket.display()))
                .hint("use a shorter --home")
        }
        _ => UserError::new(Code::DaemonUnreachable, "no daemon is running for this profile").hint("kith run"),
    }
}

/// Writes text for a path segment or query value: all but unreserved characters as %XX (RFC 3986 §2.3).
pub(super) fn escape(text: &str) -> String {
    use std::fmt::Write as _;
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
            _ => {
                let _ = write!(out, "%{byte:02X}");
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_a_name_holds_stays_inside_its_segment() {
        assert_eq!(escape("@Bob Smith/..?a=b#c%"), "%40Bob%20Smith%2F..%3Fa%3Db%23c%25");
        assert_eq!(escape("ключ"), "%D0%BA%D0%BB%D1%8E%D1%87");
    }

    #[test]
    fn an_answer_that_is_no_error_object_is_still_an_error() {
        assert_eq!(error_of(b"<html>", 500).code, Code::Internal);
        let known = br#"{"v":1,"error":{"code":"busy","message":"m","hint":"h","retry_after_ms":5}}"#;
        assert_eq!(error_of(known, 503).retry_after_ms, Some(5));
    }
}
