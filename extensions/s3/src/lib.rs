//! `@peat/s3`: the shared store in a bucket that speaks S3.
//!
//! Everything is the protocol of `peat-chain` over the host's bucket capability. The settings are read by the host, which
//! opens exactly that bucket below that prefix; nothing here knows them, and credentials never come here.

use peat_sdk::Error;
use peat_sdk::datastore::host::{ObjectStore, bucket};

/// The configured bucket.
async fn open() -> Result<ObjectStore, Error> {
    bucket::open().await
}

peat_chain::datastore_on_chain! {
    /// The datastore of one call.
    S3, crate::open
}

peat_sdk::export_datastore! {
    type: S3,
    name: "@peat/s3",
    summary: "Keeps shared data in a bucket (S3 and compatible stores)",
    wants: { "bucket": "to keep the shared data in it" },
    settings: {
        "type": "object",
        "additionalProperties": false,
        "properties": {
            "bucket": { "type": "string", "description": "name of the bucket" },
            "prefix": { "type": "string", "description": "all keys lie below it" },
            "region": { "type": "string", "description": "as AWS_REGION or the profile says, unless set" },
            "endpoint": { "type": "string", "description": "URL of a store that is not AWS" },
            "pathStyle": { "type": "boolean", "description": "the bucket in the path; true where there is an endpoint" },
            "profile": { "type": "string", "description": "a profile of the AWS configuration files" }
        },
        "required": ["bucket"]
    },
    features: [locks, hydration, maintenance, namespaces],
}
