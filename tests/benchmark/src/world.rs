//! Everything that is measured happens here: the server, its data, and machines that use it.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use peat_conformance_tests::buckets;
use peat_core::identifiers::{ModelId, ModelName, ModelTypeName, PartitionName};
use peat_core::repository::Model;
use peat_end_to_end_tests::{Checkout, Scratch, TestBucket};
use peat_store::BucketSettings;
use peat_test_support::s3::S3Server;
use tokio::runtime::{Handle, Runtime};

use crate::data_set;

/// What is added to every request, as over a network.
pub(crate) const LATENCY: Duration = Duration::from_millis(20);

/// Time to live of leases: so long that no renewal is among what is counted.
const LEASE_TTL: &str = "10m";

/// Processes that write at the same time, each to a model of its own.
pub(crate) const WRITERS: usize = 64;

/// While this file is there, their methods take longer.
pub(crate) const SLOWLY: &str = "slowly";

/// How long.
pub(crate) const SLOW: Duration = Duration::from_secs(2);

/// Bytes of the objects that are many.
pub(crate) const OBJECT_BYTES: usize = 600;

/// How much data there is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Size {
    /// Entries of the partition `big`.
    pub(crate) big: usize,
    /// Partitions besides `big` and `thousand`.
    pub(crate) others: usize,
    /// Objects of 8 MiB of the partition `bulk`.
    pub(crate) bulk: usize,
}

impl Size {
    /// What the targets are about.
    pub(crate) const FULL: Self = Self { big: 100_000, others: 805, bulk: 64 };
    /// A tenth.
    pub(crate) const QUICK: Self = Self { big: 10_000, others: 76, bulk: 16 };
    /// Entries of the partition `thousand`, in one commit.
    pub(crate) const THOUSAND: usize = 1_000;
    /// Entries of each of the other partitions.
    pub(crate) const EACH: usize = 200;

    pub(crate) fn objects(self) -> usize {
        self.big + Self::THOUSAND + self.others * Self::EACH
    }

    pub(crate) fn partitions(self) -> usize {
        self.others + 2
    }
}

/// The server, the repository that everybody clones, and the way to more machines.
pub(crate) struct World {
    pub(crate) scratch: Scratch,
    pub(crate) size: Size,
    pub(crate) seed: u64,
    pub(crate) runtime: Handle,
    bucket: TestBucket,
    template: Checkout,
}

impl World {
    /// Starts the server, makes the repository and fills the bucket.
    pub(crate) fn new(runtime: &Runtime, size: Size, seed: u64) -> Self {
        let (scratch, bucket) = (Scratch::new(), TestBucket::on_loopback());
        let template = bucket.machine(&scratch).repository("checkout");
        for (name, script) in models(scratch.path()) {
            let model = model(&name, &script);
            template.write(&format!("models/{name}.yaml"), model.to_yaml().unwrap());
        }
        // Every machine is one that has used the extension before: what is compiled is compiled.
        bucket.share(&template, &["--hydration", "lazy", "--lease-ttl", LEASE_TTL]);
        let world = Self { scratch, size, seed, runtime: runtime.handle().clone(), bucket, template };
        world.runtime.block_on(data_set::fill(&world));
        world.server().habits(|habits| habits.latency = LATENCY);
        world
    }

    pub(crate) fn server(&self) -> &S3Server {
        self.bucket.server()
    }

    /// A machine with a clone of the repository, on which nothing was run yet.
    pub(crate) fn machine(&self) -> Checkout {
        let variables = [("PEAT_BACKGROUND".to_owned(), "off".to_owned())];
        let machine = self.bucket.machine(&self.scratch).with_variables(&variables);
        machine.clone_of(&self.template, "checkout")
    }

    /// Settings of the bucket as all see it.
    pub(crate) fn settings(&self) -> BucketSettings {
        BucketSettings { prefix: self.bucket.prefix().to_owned(), ..buckets::settings_of(self.server()) }
    }

    /// A file that processes of a measurement share.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.scratch.path().join(name)
    }
}

/// `peat` with these words, in this checkout.
pub(crate) fn peat(checkout: &Checkout, words: &str) -> Command {
    let words: Vec<&str> = words.split(' ').collect();
    checkout.command(&words)
}

/// A shell model whose identity, and with it its partition, follows from its name.
pub(crate) fn model(name: &str, script: &str) -> Model {
    Model {
        id: ModelId::parse(&format!("model-{name}")).unwrap(),
        name: ModelName::parse(name).unwrap(),
        model_type: ModelTypeName::parse("command/shell").unwrap(),
        arguments: serde_json::json!({ "run": script }),
        reads: Vec::new(),
        driver: None,
        retention: Default::default(),
    }
}

/// The partition of a model.
pub(crate) fn partition(name: &str) -> PartitionName {
    model(name, "true").partition()
}

/// The key of its head, without the prefix.
pub(crate) fn head(name: &str) -> String {
    format!("/_index/{}.json", partition(name))
}

/// Names and scripts.
fn models(shared: &Path) -> Vec<(String, String)> {
    let kilobyte = "head -c 1024 /dev/urandom";
    let (order, go) = (shared.join("order"), shared.join("go"));
    let (order, go) = (order.display(), go.display());
    let told_and_waiting = format!("echo $PPID >> {order}; until [ -e {go} ]; do sleep 0.02; done");
    let mut models: Vec<(String, String)> =
        ["big", "thousand", "bulk"].map(|name| (name.to_owned(), kilobyte.to_owned())).to_vec();
    models.push(("queue".to_owned(), told_and_waiting));
    let slowly = format!("if [ -e {} ]; then sleep {}; fi; {kilobyte}", shared.join(SLOWLY).display(), SLOW.as_secs());
    models.extend((0..WRITERS).map(|number| (writer(number), slowly.clone())));
    models
}

/// Name of a writer's model.
pub(crate) fn writer(number: usize) -> String {
    format!("writer-{number:02}")
}
