//! A bucket for the tests: on the server that `PEAT_TEST_S3_ENDPOINT` names, else on one of our own on loopback.

use peat_test_support::s3::{BUCKET, S3Server};

use crate::{Checkout, Machine, Scratch};

/// Variables of the AWS tools that a real server's user has.
const PASSED_ON: [&str; 4] = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_REGION"];

/// An empty bucket: an unused prefix.
#[derive(Debug)]
pub struct TestBucket {
    server: Option<S3Server>,
    endpoint: String,
    bucket: String,
    prefix: String,
    variables: Vec<(String, String)>,
}

impl TestBucket {
    /// A new one.
    pub fn new() -> Self {
        match variable("PEAT_TEST_S3_ENDPOINT") {
            Some(endpoint) => Self {
                server: None,
                endpoint,
                bucket: variable("PEAT_TEST_S3_BUCKET").unwrap_or_else(|| BUCKET.to_owned()),
                prefix: unused(),
                variables: passed_on(),
            },
            None => Self::on_loopback(),
        }
    }

    /// A new one on a server of our own, which a test may disturb.
    pub fn on_loopback() -> Self {
        let server = S3Server::start();
        Self {
            endpoint: server.endpoint(),
            bucket: BUCKET.to_owned(),
            prefix: unused(),
            variables: server.environment().map(|(name, value)| (name.to_owned(), value)).to_vec(),
            server: Some(server),
        }
    }

    /// The server, when it is ours.
    pub fn server(&self) -> &S3Server {
        self.server.as_ref().expect("only tests on loopback disturb their server")
    }

    /// All its keys lie below this.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Where the server listens.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// The bucket's name.
    pub fn name(&self) -> &str {
        &self.bucket
    }

    /// What a user of the server has in his environment.
    pub fn variable(&self, name: &str) -> Option<&str> {
        self.variables.iter().find_map(|(known, value)| (known == name).then_some(value.as_str()))
    }

    /// A machine that may use it.
    pub fn machine(&self, scratch: &Scratch) -> Machine {
        scratch.machine().with_variables(&self.variables)
    }

    /// The words of `peat datastore setup`.
    pub fn setup(&self) -> Vec<String> {
        let mut words = vec!["datastore".to_owned(), "setup".to_owned(), "@peat/s3".to_owned()];
        for (name, value) in [("bucket", &self.bucket), ("prefix", &self.prefix), ("endpoint", &self.endpoint)] {
            words.extend(["--setting".to_owned(), format!("{name}={value}")]);
        }
        words
    }

    /// Installs `@peat/s3` and chooses it as the datastore.
    #[track_caller]
    pub fn share(&self, checkout: &Checkout, more: &[&str]) {
        checkout.install("peat-s3", &[]);
        let more = more.iter().map(|word| (*word).to_owned());
        checkout.peat(&self.setup().into_iter().chain(more).collect::<Vec<_>>()).ok();
    }
}

/// Tests of a shared datastore are run against a server that was started for them.
pub(crate) fn is_elsewhere() -> bool {
    variable("PEAT_TEST_S3_ENDPOINT").is_some()
}

/// What every machine has of the environment then.
pub(crate) fn passed_on() -> Vec<(String, String)> {
    PASSED_ON.iter().filter_map(|name| Some(((*name).to_owned(), variable(name)?))).collect()
}

impl Default for TestBucket {
    fn default() -> Self {
        Self::new()
    }
}

fn unused() -> String {
    let nanoseconds = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default().as_nanos();
    format!("end-to-end/{nanoseconds:x}-{:x}", std::process::id())
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}
