//! Data of models: what this run writes, and what earlier runs wrote.

pub use crate::bindings::host::peat::host::data::{Artifact, Attributes, Lifetime, Page, Tag};

use serde::{Serialize, de::DeserializeOwned};

use crate::Error;
use crate::bindings::host::peat::host::data;
use crate::content::{self, Blob};

/// Largest data item that the `read_*` functions bring into the guest's memory: 16 MiB. Use [`read`] for more.
pub const READ_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// Writes `value` as the JSON data item `name`, indented and with a last newline. Durable when the run commits.
pub async fn write_json<T: Serialize + ?Sized>(name: &str, value: &T) -> Result<(), Error> {
    let mut bytes = serde_json::to_vec_pretty(value).map_err(|error| Error::invalid_input(name, error.to_string()))?;
    bytes.push(b'\n');
    write_bytes(name, "application/json", &bytes).await
}

/// Writes `text` as the data item `name`.
pub async fn write_text(name: &str, text: &str) -> Result<(), Error> {
    write_bytes(name, "text/plain; charset=utf-8", text.as_bytes()).await
}

/// Writes `bytes` as the data item `name` with this media type.
pub async fn write_bytes(name: &str, content_type: &str, bytes: &[u8]) -> Result<(), Error> {
    write(name, &content::of(bytes).await?, attributes(content_type)).await
}

/// Writes what the handle `content` stands for, without bringing it into the guest.
pub async fn write(name: &str, content: &Blob, attributes: Attributes) -> Result<(), Error> {
    data::write(name.to_owned(), content, attributes).await
}

/// Attributes with the default lifetime and no tags.
pub fn attributes(content_type: &str) -> Attributes {
    Attributes { content_type: content_type.to_owned(), lifetime: None, tags: Vec::new() }
}

/// The newest version of `name` of the model that runs (`model`: none), or of another that the method may read.
pub async fn read(model: Option<&str>, name: &str, version: Option<u64>) -> Result<(Artifact, Blob), Error> {
    data::read(model.map(str::to_owned), name.to_owned(), version).await
}

/// The newest version of `name` of this model, from JSON.
pub async fn read_json<T: DeserializeOwned>(name: &str) -> Result<T, Error> {
    let (_, blob) = read(None, name, None).await?;
    let bytes = content::read(&blob, READ_BYTES_MAX).await?;
    serde_json::from_slice(&bytes).map_err(|error| Error::corrupt(name, error.to_string()))
}

/// The newest version of `name` of this model, as text.
pub async fn read_text(name: &str) -> Result<String, Error> {
    let (_, blob) = read(None, name, None).await?;
    let bytes = content::read(&blob, READ_BYTES_MAX).await?;
    String::from_utf8(bytes).map_err(|error| Error::corrupt(name, error.to_string()))
}

/// The newest versions whose name begins with `prefix`, sorted by name, one page.
pub async fn list(model: Option<&str>, prefix: &str, cursor: Option<String>) -> Result<Page, Error> {
    data::list(model.map(str::to_owned), prefix.to_owned(), cursor).await
}
