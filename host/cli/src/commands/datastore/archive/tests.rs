//! Archives that nobody's `export` wrote.

use peat_core::digest::Digest;
use peat_core::interrupt::Interrupt;
use peat_core::ports::{LocalStore as _, Silent};
use peat_store::{SqliteStore, StoreSettings};
use serde_json::{Value, json};
use tar::{Builder, EntryType, Header};

use super::read::read;
use crate::failure::Failure;

/// The members of an archive: name, what kind of file, size as it is told, bytes.
type Member = (String, EntryType, u64, Vec<u8>);

fn file(name: &str, bytes: &[u8]) -> Member {
    (name.to_owned(), EntryType::Regular, bytes.len() as u64, bytes.to_vec())
}

fn version(name: &str, number: u64, content: &[u8]) -> Value {
    json!({
        "name": name, "version": number, "size": content.len(), "digest": Digest::of(content).to_string(),
        "contentType": "text/plain", "lifetime": "infinite", "tags": [], "createdAtMs": 1, "runId": "run-00000001",
        "ofFailedRun": false,
    })
}

fn manifest(versions: u64, contents: u64, bytes: u64) -> Member {
    let partitions = json!([{ "partition": "model-a", "versions": versions }]);
    let manifest =
        json!({ "format": 1, "namespace": "default", "partitions": partitions, "contents": contents, "bytes": bytes });
    file("manifest.json", manifest.to_string().as_bytes())
}

fn index(versions: &[Value]) -> Member {
    file("index/000000.json", json!({ "partition": "model-a", "versions": versions }).to_string().as_bytes())
}

fn content(bytes: &[u8]) -> Member {
    file(&format!("contents/{}", Digest::of(bytes)), bytes)
}

/// An archive of one version that is well.
fn sound() -> Vec<Member> {
    vec![manifest(1, 1, 3), index(&[version("x", 4, b"abc")]), content(b"abc")]
}

fn packed(members: &[Member]) -> Vec<u8> {
    let mut archive = Builder::new(Vec::new());
    for (name, kind, size, bytes) in members {
        let mut header = Header::new_gnu();
        header.set_entry_type(*kind);
        header.as_gnu_mut().unwrap().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_size(*size);
        header.set_cksum();
        archive.append(&header, &bytes[..]).unwrap();
    }
    archive.into_inner().unwrap()
}

/// What became of it, and how many versions were read.
fn imported(archive: &[u8]) -> (Result<(), Failure>, usize) {
    let directory = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&directory.path().join("store"), StoreSettings::default()).unwrap();
    let read = read(archive, &store, &Silent, &Interrupt::new()).map(drop);
    let versions = store.entries(&Default::default()).unwrap().len();
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1, "nothing is written elsewhere");
    (read, versions)
}

#[track_caller]
fn refused(members: Vec<Member>, word: &str) {
    let message = imported(&packed(&members)).0.expect_err(word).to_string();
    assert!(message.contains(word) && message.contains("Nothing was imported"), "{word}: {message}");
}

#[test]
fn an_archive_that_is_well_is_read() {
    let (read, versions) = imported(&packed(&sound()));
    read.unwrap();
    assert_eq!(versions, 1);
}

#[test]
fn members_that_do_not_belong_are_refused_by_name() {
    let with = |at: usize, member: Member| {
        let mut members = sound();
        members.insert(at, member);
        members
    };
    for name in ["../../evil", "/etc/evil", "contents/../../evil"] {
        for at in 0..=3 {
            refused(with(at, file(name, b"abc")), "evil");
        }
    }
    let mut link = sound();
    link[2].1 = EntryType::Symlink;
    refused(link, "contents/");
    refused(with(3, content(b"abc")), "contents/");
    refused(vec![content(b"abc")], "manifest.json");
    let mut named = sound();
    named.insert(1, ("././@LongLink".to_owned(), EntryType::GNULongName, 3, b"abc".to_vec()));
    refused(named, "LongLink");
}

#[test]
fn sizes_and_digests_that_lie_are_refused() {
    let mut other_bytes = sound();
    other_bytes[2].3 = b"abd".to_vec();
    refused(other_bytes, "its bytes are not those");
    let mut longer = sound();
    longer[2].2 = 5;
    longer[2].3 = b"abcde".to_vec();
    refused(longer, "5 bytes instead of 3");
    refused(vec![manifest(1, 1, 4), index(&[version("x", 4, b"abc")]), content(b"abc")], "manifest.json");
    refused(vec![manifest(2, 1, 3), index(&[version("x", 4, b"abc")]), content(b"abc")], "index/000001.json");
    refused(sound()[..2].to_vec(), "the archive ends before it");
    let mut endless = sound();
    endless[0].2 = u64::MAX / 2;
    assert!(imported(&packed(&endless)).0.is_err());
    // Sizes that no sum can hold.
    let huge = |name: &str, content: &[u8]| {
        let mut version = version(name, 1, content);
        version["size"] = json!(i64::MAX);
        version
    };
    let versions = [huge("a", b"1"), huge("b", b"2"), huge("c", b"3")];
    refused(vec![manifest(3, 3, u64::MAX), index(&versions)], "contents/");
}

#[test]
fn an_index_that_cannot_be_is_refused() {
    let two = |one: Value, other: Value| vec![manifest(2, 1, 3), index(&[one, other]), content(b"abc")];
    let of = |name: &str, number: u64| version(name, number, b"abc");
    refused(two(of("x", 2), of("x", 1)), "not in order");
    refused(two(of("x", 1), of("x", 1)), "not in order");
    refused(two(of("x", 0), of("x", 1)), "no number");
    refused(two(of("x", 1), of("../x", 1)), "index/000000.json");
    let mut resized = of("y", 1);
    resized["size"] = json!(4);
    refused(two(of("x", 1), resized), "another size");
    let mut unknown = of("y", 1);
    unknown["path"] = json!("/etc");
    refused(two(of("x", 1), unknown), "unknown field");
    let newer = file("manifest.json", br#"{"format":2,"namespace":"default","partitions":[],"contents":0,"bytes":0}"#);
    refused(vec![newer], "format is 2");
}
