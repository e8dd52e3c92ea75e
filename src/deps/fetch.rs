//! Bytes from a URL: `http` and `https`, and `file` for a hub that is a folder.

use std::time::Duration;

use reqwest::{Client, StatusCode};

use crate::base::files;

/// Nothing that a package needs is larger, in bytes.
const DOWNLOAD_LIMIT: usize = 256 << 20;
const TRIES: u32 = 3;

/// Why nothing came.
#[derive(Debug, thiserror::Error)]
pub(super) enum FetchError {
    #[error("there is nothing at that address")]
    NotFound,
    #[error("{0}")]
    Refused(String),
    /// Worth another try.
    #[error("{0}")]
    Unreachable(String),
}

/// Gets a URL. What looks like a passing trouble is tried again.
pub(super) async fn get(client: &Client, url: &str) -> Result<Vec<u8>, FetchError> {
    if let Some(path) = url.strip_prefix("file://") {
        return local(path);
    }
    let mut tried = 1;
    loop {
        match remote(client, url).await {
            Err(FetchError::Unreachable(_)) if tried < TRIES => {
                tokio::time::sleep(Duration::from_millis(300) * tried).await;
                tried += 1;
            }
            other => return other,
        }
    }
}

/// The client of a command.
pub(super) fn client() -> Result<Client, reqwest::Error> {
    let agent = concat!("alluvium/", env!("CARGO_PKG_VERSION"));
    Client::builder().user_agent(agent).connect_timeout(Duration::from_secs(10)).read_timeout(Duration::from_secs(30)).build()
}

fn local(path: &str) -> Result<Vec<u8>, FetchError> {
    let decoded = percent_encoding::percent_decode_str(path).decode_utf8_lossy();
    let path = std::path::Path::new(decoded.as_ref());
    if !files::is_file(path) {
        return Err(FetchError::NotFound);
    }
    files::read_bytes(path).map_err(|error| FetchError::Refused(error.to_string()))
}

async fn remote(client: &Client, url: &str) -> Result<Vec<u8>, FetchError> {
    let mut response = client.get(url).send().await.map_err(|error| unreachable(&error))?;
    let status = response.status();
    if status == StatusCode::NOT_FOUND || status == StatusCode::GONE {
        return Err(FetchError::NotFound);
    }
    if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
        return Err(FetchError::Unreachable(format!("the server answered `{status}`")));
    }
    if !status.is_success() {
        return Err(FetchError::Refused(format!("the server answered `{status}`")));
    }
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| unreachable(&error))? {
        if bytes.len() + chunk.len() > DOWNLOAD_LIMIT {
            return Err(FetchError::Refused(format!("it is larger than {} MiB", DOWNLOAD_LIMIT >> 20)));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

/// The innermost reason, which is the one that a user can do something about.
fn unreachable(error: &reqwest::Error) -> FetchError {
    let mut reason: &dyn std::error::Error = error;
    while let Some(source) = reason.source() {
        reason = source;
    }
    let reason = reason.to_string();
    if error.is_builder() { FetchError::Refused(reason) } else { FetchError::Unreachable(reason) }
}
