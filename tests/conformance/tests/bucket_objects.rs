//! Objects in a bucket do what every object store must do: on the server of the tests, or on a real one.

#![allow(clippy::unwrap_used, reason = "a check that cannot go on has failed")]

use peat_conformance_tests::{Fixture, buckets, object_store_suite};
use peat_store::BucketObjects;

async fn bucket() -> Fixture<BucketObjects> {
    Fixture::in_memory(buckets::open(buckets::settings()).await)
}

object_store_suite!(bucket().await);
