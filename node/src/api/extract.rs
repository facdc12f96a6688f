//! Reads requests strictly: every refusal is an error object with a code, never a bare text.

use super::error::{Code, UserError};
use super::types::{ErrorBody, Items, Versioned};
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Json, body};
use serde::de::DeserializeOwned;

/// Largest request body in bytes; what a client sends here is at most a message and its names.
pub(crate) const BODY_MAX: usize = 10 * 1024 * 1024;

/// Longest idempotency key in characters.
const KEY_MAX: usize = 64;

/// The answer to a request for one object.
pub(crate) type Answer<T> = Result<Json<Versioned<T>>, UserError>;

/// The answer to a request for a list.
pub(crate) type ListAnswer<T> = Result<Json<Items<T>>, UserError>;

/// Wraps an object for its answer.
pub(crate) fn one<T>(body: T) -> Answer<T> {
    Ok(Json(Versioned::new(body)))
}

/// Wraps a list for its answer.
pub(crate) fn list<T>(items: Vec<T>) -> ListAnswer<T> {
    Ok(Json(Items::new(items)))
}

impl IntoResponse for UserError {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.code.http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let retry = self.retry_after_ms.map(|ms| HeaderValue::from(ms.div_ceil(1000)));
        let mut response = (status, Json(ErrorBody::new(self))).into_response();
        if let Some(seconds) = retry {
            response.headers_mut().insert(header::RETRY_AFTER, seconds);
        }
        response
    }
}

/// A JSON body: within the size, in UTF-8, without fields that are not known.
pub(crate) struct Body<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = UserError;

    async fn from_request(request: Request, _: &S) -> Result<Self, UserError> {
        let bytes = body::to_bytes(request.into_body(), BODY_MAX).await.map_err(|_| {
            UserError::new(
                Code::BodyTooLarge,
                format!("the request is larger than {} MiB, or broke off", BODY_MAX >> 20),
            )
        })?;
        // An absent body stands for an empty object, so that `curl -X POST` works where nothing is required.
        let text: &[u8] = if bytes.is_empty() { b"{}" } else { &bytes };
        let text = std::str::from_utf8(text)
            .map_err(|_| UserError::new(Code::InvalidUtf8, "the request is not valid UTF-8"))?;
        let value = serde_json::from_str(text).map_err(|e| {
            UserError::new(Code::Usage, format!("the request does not fit: {e}")).hint("GET /openapi.json describes it")
        })?;
        Ok(Self(value))
    }
}

/// The query string.
pub(crate) struct Params<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Params<T> {
    type Rejection = UserError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, UserError> {
        let Query(value) = Query::<T>::from_request_parts(parts, state).await.map_err(|e| {
            UserError::new(Code::Usage, format!("the query does not fit: {}", e.body_text()))
                .hint("GET /openapi.json describes it")
        })?;
        Ok(Self(value))
    }
}

/// The one variable segment of the path.
pub(crate) struct Segment(pub(crate) String);

impl<S: Send + Sync> FromRequestParts<S> for Segment {
    type Rejection = UserError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, UserError> {
        let Path(text) = Path::<String>::from_request_parts(parts, state)
            .await
            .map_err(|_| UserError::new(Code::InvalidUtf8, "the path is not valid UTF-8"))?;
        Ok(Self(text))
    }
}

/// The two variable segments of the path.
pub(crate) struct Segments(pub(crate) String, pub(crate) String);

impl<S: Send + Sync> FromRequestParts<S> for Segments {
    type Rejection = UserError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, UserError> {
        let Path((first, second)) = Path::<(String, String)>::from_request_parts(parts, state)
            .await
            .map_err(|_| UserError::new(Code::InvalidUtf8, "the path is not valid UTF-8"))?;
        Ok(Self(first, second))
    }
}

/// The `Idempotency-Key` header, if there is one.
pub(crate) struct IdempotencyKey(pub(crate) Option<String>);

impl<S: Send + Sync> FromRequestParts<S> for IdempotencyKey {
    type Rejection = UserError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, UserError> {
        let Some(value) = parts.headers.get("idempotency-key") else { return Ok(Self(None)) };
        let key = value.to_str().ok().filter(|k| (1..=KEY_MAX).contains(&k.len()));
        let wrong = || {
            UserError::new(Code::Usage, format!("the idempotency key must be 1 to {KEY_MAX} visible ASCII characters"))
        };
        Ok(Self(Some(key.ok_or_else(wrong)?.to_owned())))
    }
}
