//! Contents as handles: made, sliced, read, hashed, large, many at once.

use std::time::Duration;

use peat_sdk::content::{self, Blob, CHUNK_BYTES_MAX, Writer};
use peat_sdk::prelude::*;
use serde_json::{Value, json};

pub(crate) async fn pack(_: Run, _: Value) -> Result<String, Error> {
    let whole = Blob::of_bytes(b"0123456789")?;
    let part = whole.slice(2, 6)?;
    let inner = part.slice(1, 4)?;
    let writer = Writer::new();
    writer.write(b"first ".to_vec()).await?;
    writer.write(inner.read(0, 100).await?).await?;
    let joined = writer.finish().await?;
    data::write("joined", &joined, data::attributes("text/plain")).await?;
    data::write("part", &part, data::attributes("text/plain")).await?;
    let beyond = part.read(4, 100).await?;
    data::write_json(
        "facts",
        &json!({
            "sizes": [whole.size(), part.size(), inner.size(), joined.size()],
            "inner": String::from_utf8_lossy(&inner.read(0, 100).await?),
            "atTheEnd": String::from_utf8_lossy(&beyond),
            "digests": [whole.digest().await?, joined.digest().await?, Blob::of_bytes(b"")?.digest().await?],
        }),
    )
    .await?;
    Ok("packed".to_owned())
}

/// How large, and what of it to read back.
#[derive(Deserialize)]
pub(crate) struct Large {
    mib: u64,
}

pub(crate) async fn large(_: Run, arguments: Large) -> Result<String, Error> {
    let writer = Writer::new();
    for number in 0..arguments.mib {
        // No two pieces are alike: one that is lost, doubled or out of place changes the digest.
        let piece: Vec<u8> =
            (0..CHUNK_BYTES_MAX as u64).map(|at| (at.wrapping_mul(31) ^ at >> 8 ^ number) as u8).collect();
        writer.write(piece).await?;
    }
    let content = writer.finish().await?;
    data::write("large", &content, data::attributes("application/octet-stream")).await?;
    let digest = content.digest().await?;
    let tail = content::read(&content.slice(content.size() - 10, 10)?, 10).await?;
    Ok(format!("{} bytes, {digest}, ending in {tail:?}", content.size()))
}

/// How many calls.
#[derive(Deserialize)]
pub(crate) struct Calls {
    calls: u64,
}

/// Begins all sleeps before it waits for the first, so that they are under way together; each wakes up in its own time.
pub(crate) async fn concurrent(_: Run, arguments: Calls) -> Result<String, Error> {
    let mut sleeps: Vec<_> = (0..arguments.calls)
        .map(|number| Box::pin(peat_sdk::clock::sleep(Duration::from_millis(number % 7))))
        .collect();
    let mut waiting = sleeps.len();
    std::future::poll_fn(|context| {
        sleeps.retain_mut(|sleep| sleep.as_mut().poll(context).is_pending());
        waiting = sleeps.len();
        if waiting == 0 { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
    Ok(format!("{} calls ended", arguments.calls))
}
