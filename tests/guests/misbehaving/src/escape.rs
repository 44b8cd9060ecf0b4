//! Methods that reach for what they were not given: names that leave their place, folders not granted.

use peat_sdk::prelude::*;
use serde_json::Value;

/// A name to try; the test gives many.
#[derive(Deserialize)]
pub(crate) struct Name {
    name: String,
}

/// Writes data under `name`; ends well only when the host lets it.
pub(crate) async fn write_named(_: Run, arguments: Name) -> Result<String, Error> {
    data::write_text(&arguments.name, "escaped").await?;
    Ok(format!("wrote {:?}", arguments.name))
}

/// Opens the folder `name`.
pub(crate) async fn open_folder(_: Run, arguments: Name) -> Result<String, Error> {
    files::open(&arguments.name).await?;
    Ok(format!("opened {:?}", arguments.name))
}

/// Where in which granted folder to read.
#[derive(Deserialize)]
pub(crate) struct Place {
    directory: String,
    path: String,
}

/// Reads a path of a granted folder into the data item `escaped`.
pub(crate) async fn read_path(_: Run, place: Place) -> Result<String, Error> {
    let text = files::open(&place.directory).await?.read_text(&place.path).await?;
    data::write_text("escaped", &text).await?;
    Ok(format!("read {:?}", place.path))
}

/// Imports everything a model may, so that nothing is missing only because nobody asked.
pub(crate) async fn read_secret(_: Run, arguments: Name) -> Result<String, Failure> {
    let value = peat_sdk::secrets::get(&arguments.name)?;
    Ok(format!("a secret of {} bytes", value.len()))
}

/// What to read of which model.
#[derive(Deserialize)]
pub(crate) struct Foreign {
    name: String,
    data: Option<String>,
    version: Option<u64>,
}

/// Reads data of the model `name`, whether the method declared it or not.
pub(crate) async fn read_foreign(_: Run, arguments: Foreign) -> Result<String, Error> {
    let name = arguments.data.as_deref().unwrap_or("private");
    let (artifact, content) = data::read(Some(&arguments.name), name, arguments.version).await?;
    Ok(format!("read version {} of {} bytes", artifact.version, content.size()))
}

/// Fails unless it got arguments: something to call with what the schema forbids.
pub(crate) async fn strict(_: Run, arguments: Value) -> Result<String, Error> {
    Ok(format!("ran with {arguments}"))
}
