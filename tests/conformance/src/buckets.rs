//! Buckets for the suites: on the server that `PEAT_TEST_S3_ENDPOINT` names, else on one of our own on loopback. Every call
//! is a bucket of its own: an unused prefix.

use std::sync::{Arc, LazyLock};

use peat_core::ports::Random as _;
use peat_store::{AccessKeys, BucketObjects, BucketSettings, SystemRandom};
use peat_test_support::local_store::MemoryStore;
use peat_test_support::s3::{ACCESS_KEY, BUCKET, REGION, S3Server, SECRET_KEY};

/// URL of a server to run against. `PEAT_TEST_S3_BUCKET` (`peat-test`), `AWS_REGION` and the credentials of the standard
/// chain belong to it.
const ENDPOINT_VARIABLE: &str = "PEAT_TEST_S3_ENDPOINT";

/// The bucket on it.
const BUCKET_VARIABLE: &str = "PEAT_TEST_S3_BUCKET";

/// One server for all tests of this process.
static SERVER: LazyLock<S3Server> = LazyLock::new(S3Server::start);

/// Whether the suites run against a server that is not ours.
pub fn is_elsewhere() -> bool {
    variable(ENDPOINT_VARIABLE).is_some()
}

/// Settings of an empty bucket.
pub fn settings() -> BucketSettings {
    let mut random = [0; 8];
    SystemRandom.fill(&mut random);
    let prefix = format!("conformance/{:016x}", u64::from_be_bytes(random));
    match variable(ENDPOINT_VARIABLE) {
        Some(endpoint) => {
            let bucket = variable(BUCKET_VARIABLE).unwrap_or_else(|| BUCKET.to_owned());
            BucketSettings { prefix, endpoint: Some(endpoint), ..BucketSettings::new(bucket) }
        }
        None => BucketSettings { prefix, ..settings_of(&SERVER) },
    }
}

/// Settings of the whole bucket of a server of our own.
pub fn settings_of(server: &S3Server) -> BucketSettings {
    BucketSettings {
        endpoint: Some(server.endpoint()),
        region: Some(REGION.to_owned()),
        keys: Some(AccessKeys { id: ACCESS_KEY.to_owned(), secret: SECRET_KEY.to_owned() }),
        ..BucketSettings::new(BUCKET)
    }
}

/// Opens a bucket.
pub async fn open(settings: BucketSettings) -> BucketObjects {
    BucketObjects::open(settings, Arc::new(MemoryStore::default())).await.unwrap()
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}
