//! The image of the runner: one file in an otherwise empty file system, made here and fetched from nowhere.

use std::io;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use peat_core::digest::Digest;

use super::super::program::output;
use super::{BUNDLE, GRANTED};

/// What every image is called; its tag is the digest of the runner in it.
const NAME: &str = "localhost/peat-runner";

/// Digits of the digest in a tag.
const TAG_DIGITS: usize = 16;

/// How long making it may take: some ten megabytes are copied.
const MAKE_TIMEOUT: Duration = Duration::from_secs(120);

/// Makes sure that there is an image of the runner `file`, and answers its name. `program` is Podman's or Docker's.
pub(super) async fn image_of(program: &Path, file: &Path) -> Result<String, String> {
    let unreadable = |error: io::Error| format!("{} cannot be read: {error}", file.display());
    let runner = std::fs::read(file).map_err(unreadable)?;
    let name = format!("{NAME}:{}", &Digest::of(&runner).to_string()[..TAG_DIGITS]);
    let mut inspect = Command::new(program);
    inspect.args(["image", "inspect", "--format", "{{.Id}}", &name]);
    if output(inspect, &[], MAKE_TIMEOUT).await.is_ok() {
        return Ok(name);
    }
    let tar = file_system(&runner).map_err(unreadable)?;
    let mut import = Command::new(program);
    import.args(["import", "--change", "ENTRYPOINT [\"/peat-runner\"]", "-", &name]);
    output(import, &tar, MAKE_TIMEOUT)
        .await
        .map_err(|error| format!("the image of the runner cannot be made: {error}"))?;
    Ok(name)
}

/// The runner, and the places where something will be mounted.
fn file_system(runner: &[u8]) -> io::Result<Vec<u8>> {
    let mut tar = tar::Builder::new(Vec::with_capacity(runner.len() + 8 * 1024));
    for directory in [BUNDLE, GRANTED] {
        let mut header = tar::Header::new_ustar();
        header.set_entry_type(tar::EntryType::Directory);
        header.set_mode(0o755);
        header.set_size(0);
        tar.append_data(&mut header, directory.trim_start_matches('/'), io::empty())?;
    }
    let mut header = tar::Header::new_ustar();
    header.set_mode(0o755);
    header.set_size(runner.len() as u64);
    tar.append_data(&mut header, "peat-runner", runner)?;
    tar.into_inner()
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    #[test]
    fn the_image_holds_the_runner_and_nothing_else() {
        let bytes = file_system(b"program").unwrap();
        let mut archive = tar::Archive::new(&bytes[..]);
        let mut found = Vec::new();
        for entry in archive.entries().unwrap() {
            let mut entry = entry.unwrap();
            let mut content = String::new();
            entry.read_to_string(&mut content).unwrap();
            found.push((entry.path().unwrap().display().to_string(), entry.header().mode().unwrap(), content));
        }
        let entry = |path: &str, content: &str| (path.to_owned(), 0o755, content.to_owned());
        assert_eq!(found, [entry("bundle", ""), entry("granted", ""), entry("peat-runner", "program")]);
    }
}
