//! Where a shared datastore lies, as somebody sees it who comes to it without Peat: its objects can be listed and damaged.
#![allow(dead_code, reason = "every test file uses its own part of it")]

use std::fs;
use std::path::{Path, PathBuf};

use aws_credential_types::Credentials;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::{BehaviorVersion, Region, RequestChecksumCalculation, ResponseChecksumValidation};
use aws_smithy_http_client::Builder;
use peat_end_to_end_tests::{Checkout, Machine, Scratch, TestBucket};
use tokio::runtime::Runtime;

/// One.
pub(crate) enum Place {
    Directory(PathBuf),
    Bucket(Box<Bucket>),
}

/// A bucket, and a client of its own.
pub(crate) struct Bucket {
    bucket: TestBucket,
    client: Client,
    runtime: Runtime,
}

impl Place {
    /// A directory.
    pub(crate) fn directory(scratch: &Scratch) -> Self {
        Self::Directory(scratch.shared_directory())
    }

    /// A bucket of the server that `PEAT_TEST_S3_ENDPOINT` names, or else of one on loopback.
    pub(crate) fn bucket() -> Self {
        let bucket = TestBucket::new();
        Self::Bucket(Box::new(Bucket { client: client(&bucket), bucket, runtime: Runtime::new().unwrap() }))
    }

    /// A machine that may use it.
    pub(crate) fn machine(&self, scratch: &Scratch) -> Machine {
        match self {
            Self::Directory(_) => scratch.machine(),
            Self::Bucket(bucket) => bucket.bucket.machine(scratch),
        }
    }

    /// Chooses it as the datastore.
    pub(crate) fn share(&self, checkout: &Checkout) {
        match self {
            Self::Directory(directory) => checkout.share_through(directory),
            Self::Bucket(bucket) => bucket.bucket.share(checkout, &[]),
        }
    }

    /// The keys of the objects with this word in them, in order.
    pub(crate) fn keys(&self, word: &str) -> Vec<String> {
        let mut keys = match self {
            Self::Directory(directory) => objects_below(directory),
            Self::Bucket(bucket) => bucket.keys(),
        };
        keys.retain(|key| key.contains(word));
        keys.sort();
        keys
    }

    /// Replaces the content of an object behind everybody's back.
    pub(crate) fn damage(&self, key: &str, change: impl FnOnce(&mut Vec<u8>)) {
        match self {
            Self::Directory(_) => {
                let mut bytes = fs::read(key).unwrap();
                change(&mut bytes);
                fs::write(key, bytes).unwrap();
            }
            Self::Bucket(bucket) => bucket.damage(key, change),
        }
    }

    /// Deletes an object behind everybody's back.
    pub(crate) fn delete(&self, key: &str) {
        match self {
            Self::Directory(_) => fs::remove_file(key).unwrap(),
            Self::Bucket(bucket) => bucket.delete(key),
        }
    }
}

impl Bucket {
    fn keys(&self) -> Vec<String> {
        let listing = self.client.list_objects_v2().bucket(self.bucket.name()).prefix(self.bucket.prefix());
        self.runtime.block_on(async {
            let mut pages = listing.into_paginator().send();
            let mut keys = Vec::new();
            while let Some(page) = pages.next().await {
                keys.extend(page.unwrap().contents().iter().map(|object| object.key().unwrap().to_owned()));
            }
            keys
        })
    }

    fn damage(&self, key: &str, change: impl FnOnce(&mut Vec<u8>)) {
        let name = self.bucket.name();
        self.runtime.block_on(async {
            let answer = self.client.get_object().bucket(name).key(key).send().await.unwrap();
            let mut bytes = answer.body.collect().await.unwrap().to_vec();
            change(&mut bytes);
            self.client.put_object().bucket(name).key(key).body(bytes.into()).send().await.unwrap();
        });
    }

    fn delete(&self, key: &str) {
        let request = self.client.delete_object().bucket(self.bucket.name()).key(key);
        self.runtime.block_on(request.send()).unwrap();
    }
}

fn client(bucket: &TestBucket) -> Client {
    let variable = |name| bucket.variable(name).unwrap_or_else(|| panic!("a user of this server has {name}"));
    let keys = Credentials::new(variable("AWS_ACCESS_KEY_ID"), variable("AWS_SECRET_ACCESS_KEY"), None, None, "test");
    let config = aws_sdk_s3::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .http_client(Builder::new().build_http())
        .region(Region::new(bucket.variable("AWS_REGION").unwrap_or("us-east-1").to_owned()))
        .endpoint_url(bucket.endpoint())
        .force_path_style(true)
        .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
        .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
        .credentials_provider(keys)
        .build();
    Client::from_conf(config)
}

fn objects_below(directory: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut pending = vec![directory.to_owned()];
    while let Some(directory) = pending.pop() {
        for entry in fs::read_dir(directory).unwrap().map(Result::unwrap) {
            if entry.file_type().unwrap().is_dir() {
                pending.push(entry.path());
            } else if entry.path().to_string_lossy().ends_with(".object") {
                found.push(entry.path().display().to_string());
            }
        }
    }
    found
}
