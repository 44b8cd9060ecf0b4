//! The same objects with plain GETs of the AWS SDK, one request each.

use aws_credential_types::Credentials;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::{BehaviorVersion, Region, RequestChecksumCalculation, ResponseChecksumValidation};
use aws_smithy_http_client::Builder;
use futures::stream::{self, StreamExt as _};
use peat_test_support::s3::{ACCESS_KEY, BUCKET, REGION, SECRET_KEY};
use std::time::Instant;

use crate::data_set::content;
use crate::figures::{Figures, Target};
use crate::process::Ran;
use crate::world::{Size, World};

/// Requests at a time.
const AT_ONCE: usize = 32;

/// The server's log is emptied after so many requests: nobody looks at it here.
const LOGGED_MAX: usize = 10_000;

/// Compares a full clone with as many GETs.
pub(crate) fn compare(world: &World, figures: &mut Figures, clone: Ran) {
    let keys: Vec<String> = (0..world.size.objects()).map(|number| format!("plain/{number:06}")).collect();
    for (number, key) in keys.iter().enumerate() {
        let partition = 2 + (number / Size::EACH) as u64;
        world.server().insert(key, content(world.seed, partition, number % Size::EACH));
    }
    let client = client(world);
    let began = Instant::now();
    for some in keys.chunks(LOGGED_MAX) {
        world.server().clear_log();
        world.runtime.block_on(get_all(&client, some));
    }
    let took_s = began.elapsed().as_secs_f64();
    figures.add("the same with plain GETs, 32 at a time", "s", Target::None, took_s);
    figures.add("clone / plain GETs", "", Target::Timed(1.5), clone.wall.as_secs_f64() / took_s);
}

async fn get_all(client: &Client, keys: &[String]) {
    let get = |key: &String| {
        let (client, key) = (client.clone(), key.clone());
        // A task each: they use all cores, as those of a real client would.
        tokio::spawn(async move {
            let answer = client.get_object().bucket(BUCKET).key(key).send().await.unwrap();
            answer.body.collect().await.unwrap().into_bytes().len()
        })
    };
    let mut answers = stream::iter(keys.iter().map(get)).buffer_unordered(AT_ONCE);
    while let Some(length) = answers.next().await {
        assert_eq!(length.unwrap(), crate::world::OBJECT_BYTES);
    }
}

fn client(world: &World) -> Client {
    let config = aws_sdk_s3::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .http_client(Builder::new().build_http())
        .region(Region::new(REGION))
        .endpoint_url(world.server().endpoint())
        .force_path_style(true)
        .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
        .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
        .credentials_provider(Credentials::new(ACCESS_KEY, SECRET_KEY, None, None, "benchmark"))
        .build();
    Client::from_conf(config)
}
