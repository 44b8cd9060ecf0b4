//! Drivers: where methods run, and within what.
//!
//! A driver is chosen as a whole by the first who names one; its options are then collected key by key from everybody who
//! named the same driver, in the same order. `docs/isolation.md` has the table.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::ser::SerializeMap as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::size::{optional_size, write_size};
use super::{RepositoryConfig, SharedDatastore, duration, write_duration};

/// Default of `memory`, in bytes: what a guest may use (256 MiB), and as much again for the runner.
pub const DRIVER_MEMORY_DEFAULT: u64 = 512 * 1024 * 1024;

/// Default of `pids`: the threads of a runner, some times over.
pub const DRIVER_PIDS_DEFAULT: u32 = 64;

/// Least `memory`, in bytes: with less no runner starts.
const MEMORY_MIN: u64 = 64 * 1024 * 1024;

/// Least `pids`: with fewer no runner starts.
const PIDS_MIN: u32 = 16;

/// Longest name of an image, in bytes: more than registries take.
const IMAGE_BYTES_MAX: usize = 512;

/// Where a method runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Driver {
    /// In the process of the host.
    #[default]
    InProcess,
    /// In a process of its own.
    Process,
    /// In a container without a network.
    Container,
}

impl Driver {
    /// Every driver, the least isolated first.
    pub const ALL: [Self; 3] = [Self::InProcess, Self::Process, Self::Container];

    /// As written in `peat.yaml` and after `--driver`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InProcess => "in-process",
            Self::Process => "process",
            Self::Container => "container",
        }
    }

    /// The options it knows.
    fn options(self) -> &'static [&'static str] {
        match self {
            Self::InProcess => &["timeout"],
            Self::Process => &["memory", "timeout"],
            Self::Container => &["memory", "cpus", "pids", "timeout", "image", "runtime", "network"],
        }
    }

    /// Whether it is the one that nobody has to name.
    pub fn is_in_process(&self) -> bool {
        *self == Self::InProcess
    }
}

impl fmt::Display for Driver {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

impl FromStr for Driver {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|driver| driver.as_str() == text)
            .ok_or_else(|| format!("{text:?} is no driver; write in-process, process or container"))
    }
}

/// A driver as somebody chose it: its name, or a mapping with `kind` and options.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct DriverChoice {
    /// Which.
    pub driver: Driver,
    /// What was said about it.
    pub options: DriverOptions,
}

/// What can be said about a driver. What is not said is left to others.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DriverOptions {
    /// Most bytes of memory of the process or container.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "optional_size",
        serialize_with = "write_size"
    )]
    pub memory: Option<u64>,
    /// Most processors at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpus: Option<f64>,
    /// Most processes and threads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pids: Option<u32>,
    /// How long a method may take.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "optional_duration",
        serialize_with = "write_optional_duration"
    )]
    pub timeout: Option<Duration>,
    /// The image that `command/shell` runs in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// What runs containers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runtime: Option<ContainerRuntime>,
    /// The network of `command/shell`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<ContainerNetwork>,
}

/// What runs containers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ContainerRuntime {
    /// Podman.
    Podman,
    /// Docker.
    Docker,
}

impl ContainerRuntime {
    /// Every runtime, in the order in which they are tried.
    pub const ALL: [Self; 2] = [Self::Podman, Self::Docker];

    /// Its program.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Podman => "podman",
            Self::Docker => "docker",
        }
    }
}

/// The network of a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ContainerNetwork {
    /// None at all.
    #[default]
    None,
    /// One behind the host.
    Bridge,
    /// That of the host.
    Host,
}

impl ContainerNetwork {
    /// As runtimes write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Bridge => "bridge",
            Self::Host => "host",
        }
    }
}

/// The key `drivers` of `peat.yaml`: options of each driver, whoever chooses it.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct DriverDefaults {
    /// Of `in-process`.
    #[serde(default)]
    pub in_process: DriverOptions,
    /// Of `process`.
    #[serde(default)]
    pub process: DriverOptions,
    /// Of `container`.
    #[serde(default)]
    pub container: DriverOptions,
}

impl DriverDefaults {
    /// The options of one driver.
    pub fn of(&self, driver: Driver) -> &DriverOptions {
        match driver {
            Driver::InProcess => &self.in_process,
            Driver::Process => &self.process,
            Driver::Container => &self.container,
        }
    }

    /// Checks all of them. The error begins with the key.
    pub(super) fn check(&self) -> Result<(), String> {
        Driver::ALL.into_iter().try_for_each(|driver| {
            self.of(driver).check(driver).map_err(|(key, reason)| format!("drivers.{driver}.{key}: {reason}"))
        })
    }
}

/// Who chose a driver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DriverSource {
    /// `--driver`.
    CommandLine,
    /// The model.
    Model,
    /// The model's type.
    ModelType,
    /// `peat.yaml`.
    Repository,
    /// Nobody.
    Default,
}

impl DriverSource {
    /// For people and scripts.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::CommandLine => "--driver",
            Self::Model => "model",
            Self::ModelType => "type",
            Self::Repository => "peat.yaml",
            Self::Default => "default",
        }
    }
}

/// A driver with everything that was said about it.
#[derive(Debug, Clone, PartialEq)]
pub struct ResolvedDriver {
    /// Which.
    pub driver: Driver,
    /// Who chose it.
    pub source: DriverSource,
    /// What holds of it.
    pub options: DriverOptions,
}

impl ResolvedDriver {
    /// Of one method run: by `--driver`, by its model, by its model's type, by `peat.yaml`, or in-process.
    pub fn of_run(
        command_line: Option<Driver>,
        model: Option<&DriverChoice>,
        model_type: Option<Driver>,
        config: &RepositoryConfig,
    ) -> Self {
        let choices = [
            (DriverSource::CommandLine, command_line),
            (DriverSource::Model, model.map(|choice| choice.driver)),
            (DriverSource::ModelType, model_type),
            (DriverSource::Repository, config.driver.as_ref().map(|choice| choice.driver)),
        ];
        let chosen = choices.into_iter().find_map(|(source, driver)| Some((source, driver?)));
        let (source, driver) = chosen.unwrap_or((DriverSource::Default, Driver::InProcess));
        Self { driver, source, options: collected(driver, model, config) }
    }

    /// Of a datastore extension, which may be one that is about to be chosen.
    pub fn of_datastore(datastore: &SharedDatastore, config: &RepositoryConfig) -> Self {
        let isolation = datastore.isolation;
        let source = isolation.map_or(DriverSource::Default, |_| DriverSource::Repository);
        let driver = isolation.unwrap_or_default();
        Self { driver, source, options: collected(driver, None, config) }
    }

    /// Most bytes of memory.
    pub fn memory(&self) -> u64 {
        self.options.memory.unwrap_or(DRIVER_MEMORY_DEFAULT)
    }

    /// Most processes and threads.
    pub fn pids(&self) -> u32 {
        self.options.pids.unwrap_or(DRIVER_PIDS_DEFAULT)
    }

    /// The network.
    pub fn network(&self) -> ContainerNetwork {
        self.options.network.unwrap_or_default()
    }
}

/// What was said about `driver`, by whoever named it.
fn collected(driver: Driver, model: Option<&DriverChoice>, config: &RepositoryConfig) -> DriverOptions {
    let mut options = DriverOptions::default();
    for choice in [model, config.driver.as_ref()].into_iter().flatten().filter(|choice| choice.driver == driver) {
        options.add(&choice.options);
    }
    options.add(config.drivers.of(driver));
    options
}

impl DriverOptions {
    /// Takes from `other` what is not said here.
    fn add(&mut self, other: &Self) {
        self.memory = self.memory.or(other.memory);
        self.cpus = self.cpus.or(other.cpus);
        self.pids = self.pids.or(other.pids);
        self.timeout = self.timeout.or(other.timeout);
        self.image = self.image.take().or_else(|| other.image.clone());
        self.runtime = self.runtime.or(other.runtime);
        self.network = self.network.or(other.network);
    }

    /// Which are given.
    fn given(&self) -> impl Iterator<Item = &'static str> {
        let given = [
            ("memory", self.memory.is_some()),
            ("cpus", self.cpus.is_some()),
            ("pids", self.pids.is_some()),
            ("timeout", self.timeout.is_some()),
            ("image", self.image.is_some()),
            ("runtime", self.runtime.is_some()),
            ("network", self.network.is_some()),
        ];
        given.into_iter().filter(|(_, given)| *given).map(|(key, _)| key)
    }

    /// Checks that `driver` knows them all, and their values. The error names the key, and what is right.
    pub(super) fn check(&self, driver: Driver) -> Result<(), (&'static str, String)> {
        let known = driver.options();
        if let Some(unknown) = self.given().find(|key| !known.contains(key)) {
            let remedy = format!("the driver {driver} has no such option; it knows {}", known.join(", "));
            return Err((unknown, remedy));
        }
        if self.memory.is_some_and(|memory| memory < MEMORY_MIN) {
            return Err(("memory", format!("write at least {}MiB, or no runner starts", MEMORY_MIN >> 20)));
        }
        if self.cpus.is_some_and(|cpus| !(0.01..=1024.0).contains(&cpus)) {
            return Err(("cpus", "write a number of processors from 0.01 to 1024".to_owned()));
        }
        if self.pids.is_some_and(|pids| pids < PIDS_MIN) {
            return Err(("pids", format!("write at least {PIDS_MIN}, or no runner starts")));
        }
        if self.timeout.is_some_and(|timeout| timeout.is_zero()) {
            return Err(("timeout", "write a duration such as 90s or 10m".to_owned()));
        }
        if self.image.as_deref().is_some_and(|image| !is_image(image)) {
            return Err(("image", "write the name of an image, such as docker.io/library/alpine:3".to_owned()));
        }
        Ok(())
    }
}

/// Whether it can be given to a runtime: a name, no option and no two words.
fn is_image(image: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-/:@".contains(&byte);
    image.len() <= IMAGE_BYTES_MAX
        && image.bytes().next().is_some_and(|first| first.is_ascii_alphanumeric())
        && image.bytes().all(allowed)
}

impl Serialize for DriverChoice {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.options == DriverOptions::default() {
            return self.driver.serialize(serializer);
        }
        let options = serde_json::to_value(&self.options).map_err(serde::ser::Error::custom)?;
        let options = options.as_object().cloned().unwrap_or_default();
        let mut map = serializer.serialize_map(Some(options.len() + 1))?;
        map.serialize_entry("kind", &self.driver)?;
        for (key, value) in &options {
            map.serialize_entry(key, value)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for DriverChoice {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ChoiceVisitor)
    }
}

struct ChoiceVisitor;

impl<'de> Visitor<'de> for ChoiceVisitor {
    type Value = DriverChoice;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("in-process, process, container, or a mapping with `kind` and options")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<DriverChoice, E> {
        let driver = text.parse().map_err(E::custom)?;
        Ok(DriverChoice { driver, options: DriverOptions::default() })
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<DriverChoice, A::Error> {
        /// Flattened by hand: what serde flattens it does not check for unknown keys.
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase", deny_unknown_fields)]
        struct Written {
            kind: Driver,
            #[serde(default, deserialize_with = "optional_size")]
            memory: Option<u64>,
            cpus: Option<f64>,
            pids: Option<u32>,
            #[serde(default, deserialize_with = "optional_duration")]
            timeout: Option<Duration>,
            image: Option<String>,
            runtime: Option<ContainerRuntime>,
            network: Option<ContainerNetwork>,
        }
        let Written { kind, memory, cpus, pids, timeout, image, runtime, network } =
            Written::deserialize(MapAccessDeserializer::new(map))?;
        let options = DriverOptions { memory, cpus, pids, timeout, image, runtime, network };
        match options.check(kind) {
            Ok(()) => Ok(DriverChoice { driver: kind, options }),
            Err((key, reason)) => Err(serde::de::Error::custom(format!("driver.{key}: {reason}"))),
        }
    }
}

fn optional_duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    duration(deserializer).map(Some)
}

fn write_optional_duration<S: Serializer>(timeout: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
    write_duration(&timeout.unwrap_or_default(), serializer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::repository::{Model, RepositoryConfig};

    fn config(rest: &str) -> Result<RepositoryConfig, String> {
        RepositoryConfig::parse("peat.yaml", &format!("format: 1\nid: 0a1b2c3d4e5f\n{rest}"))
            .map_err(|error| error.to_string())
    }

    fn model(rest: &str) -> Result<Model, String> {
        Model::parse("m.yaml", &format!("id: 0a1b2c3d4e5f\nname: web\ntype: \"@acme/web\"\n{rest}"))
            .map_err(|error| error.to_string())
    }

    #[test]
    fn the_first_who_names_a_driver_chooses_it() {
        let none = config("").unwrap();
        let repository = config("driver: container\n").unwrap();
        let own = model("driver: process\n").unwrap().driver;
        let chosen = |line, model: Option<&DriverChoice>, model_type, config: &RepositoryConfig| {
            let resolved = ResolvedDriver::of_run(line, model, model_type, config);
            (resolved.driver, resolved.source)
        };
        use Driver::{Container, InProcess, Process};
        assert_eq!(chosen(None, None, None, &none), (InProcess, DriverSource::Default));
        assert_eq!(chosen(None, None, None, &repository), (Container, DriverSource::Repository));
        assert_eq!(chosen(None, None, Some(Process), &repository), (Process, DriverSource::ModelType));
        assert_eq!(chosen(None, own.as_ref(), Some(Container), &repository), (Process, DriverSource::Model));
        assert_eq!(
            chosen(Some(InProcess), own.as_ref(), Some(Container), &repository),
            (InProcess, DriverSource::CommandLine)
        );
    }

    #[test]
    fn options_come_from_everybody_who_named_the_same_driver() {
        let config = config(
            "driver: {kind: container, cpus: 2, image: a}\n\
             drivers: {container: {memory: 1GiB, pids: 99, image: b}, process: {memory: 128MiB}}\n",
        )
        .unwrap();
        let own = model("driver: {kind: container, image: c, timeout: 5m}\n").unwrap().driver;
        let resolved = ResolvedDriver::of_run(None, own.as_ref(), None, &config);
        assert_eq!((resolved.memory(), resolved.pids(), resolved.options.cpus), (1 << 30, 99, Some(2.0)));
        assert_eq!(resolved.options.image.as_deref(), Some("c"));
        assert_eq!(resolved.options.timeout, Some(Duration::from_secs(300)));
        assert_eq!(resolved.network(), ContainerNetwork::None);
        // What was said of a container says nothing of a process.
        let process = ResolvedDriver::of_run(Some(Driver::Process), own.as_ref(), None, &config);
        assert_eq!((process.memory(), process.options.timeout), (128 << 20, None));
    }

    #[test]
    fn a_choice_reads_back_what_it_writes() {
        for text in ["driver: process\n", "driver: {kind: container, memory: 96MiB, cpus: 0.5, timeout: 90s}\n"] {
            let written = model(text).unwrap();
            assert_eq!(Model::parse("m.yaml", &written.to_yaml().unwrap()).unwrap(), written, "{text}");
        }
    }

    #[test]
    fn mistakes_name_the_key_and_what_is_right() {
        for (text, words) in [
            ("driver: moon\n", ["moon", "in-process, process or container"]),
            ("driver: [process]\n", ["sequence", "kind"]),
            ("driver: {image: x}\n", ["kind", ""]),
            ("driver: {kind: process, colour: red}\n", ["colour", "memory"]),
            ("driver: {kind: process, image: x}\n", ["driver.image", "memory, timeout"]),
            ("driver: {kind: container, image: --privileged}\n", ["driver.image", "name of an image"]),
            ("driver: {kind: container, memory: 1MiB}\n", ["driver.memory", "64MiB"]),
            ("driver: {kind: container, memory: much}\n", ["much", "4GiB"]),
            ("driver: {kind: container, network: all}\n", ["all", "none"]),
            ("driver: {kind: container, runtime: lxc}\n", ["lxc", "podman"]),
            ("driver: {kind: container, timeout: soon}\n", ["soon", "90s"]),
        ] {
            for error in [config(text).unwrap_err(), model(text).unwrap_err()] {
                assert!(words.iter().all(|word| error.contains(word)), "{text}: {error}");
            }
        }
        for (text, words) in [
            ("drivers: {vm: {}}\n", ["vm", "in-process"]),
            ("drivers: {process: {cpus: 1}}\n", ["drivers.process.cpus", "memory, timeout"]),
            ("drivers: {container: {pids: 1}}\n", ["drivers.container.pids", "16"]),
            ("drivers: {container: {cpus: 0}}\n", ["drivers.container.cpus", "from 0.01"]),
            ("datastore: {extension: \"@a/b\", isolation: moon}\n", ["isolation", "container"]),
        ] {
            let error = config(text).unwrap_err();
            assert!(words.iter().all(|word| error.contains(word)), "{text}: {error}");
        }
    }

    #[test]
    fn a_datastore_is_placed_by_its_own_key() {
        let config = config(
            "driver: container\ndatastore: {extension: \"@a/b\", isolation: process}\ndrivers: {process: {memory: 1GiB}}\n",
        )
        .unwrap();
        let resolved = ResolvedDriver::of_datastore(config.datastore.shared().unwrap(), &config);
        assert_eq!((resolved.driver, resolved.memory()), (Driver::Process, 1 << 30));
    }
}
