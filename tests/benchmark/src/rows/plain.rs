//! What the AWS SDK alone needs: for the same objects with plain GETs, for the requests of a write.

use aws_credential_types::Credentials;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::{BehaviorVersion, Region, RequestChecksumCalculation, ResponseChecksumValidation};
use aws_smithy_http_client::Builder;
use futures::stream::{self, StreamExt as _};
use peat_test_support::s3::{ACCESS_KEY, BUCKET, REGION, SECRET_KEY};
use std::time::Instant;
use tokio::task::JoinSet;

use crate::data_set::content;
use crate::figures::{Figures, Target};
use crate::process::Ran;
use crate::world::{Size, WRITERS, World};

/// Requests at a time.
const AT_ONCE: usize = 32;

/// The server's log is emptied after so many requests: nobody looks at it here.
const LOGGED_MAX: usize = 10_000;

/// About what the head of a partition has with a few versions of a kilobyte.
const HEAD_BYTES: usize = 6 * 1024;

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

/// The requests of a warm write, from as many clients as there are writers: two of which the second follows the first, and
/// one beside them. Answers the time of one and of all.
pub(super) async fn writes(world: &World) -> (f64, f64) {
    let clients: Vec<Client> = (0..WRITERS).map(|_| client(world)).collect();
    let write = async |clients: &[Client]| {
        let began = Instant::now();
        let writers: JoinSet<()> =
            clients.iter().cloned().enumerate().map(|(number, client)| write(client, number)).collect();
        writers.join_all().await;
        began.elapsed().as_secs_f64()
    };
    // Connections are there, as those of a machine that has written before.
    write(&clients).await;
    (write(&clients[..1]).await, write(&clients).await)
}

async fn write(client: Client, number: usize) {
    let key = format!("plain-writes/{number}");
    let put = || client.put_object().bucket(BUCKET).key(&key).body(vec![7; HEAD_BYTES].into()).send();
    let look = client.list_objects_v2().bucket(BUCKET).prefix(&key).send();
    let (written, seen) = tokio::join!(put(), look);
    written.unwrap();
    seen.unwrap();
    put().await.unwrap();
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
