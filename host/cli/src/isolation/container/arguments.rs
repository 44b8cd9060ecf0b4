//! The command line that runs a container with nothing in it but what it is given.

use std::path::{Path, PathBuf};
use std::process::Command;

use peat_core::ports::Random as _;
use peat_core::repository::{ContainerNetwork, ContainerRuntime, ResolvedDriver};
use peat_store::SystemRandom;
use peat_wasm::LaunchError;
use rustix::process::{getgid, getuid};

use super::found::Found;

/// Open files and processes of a container. What runtimes set by themselves, a machine with lower limits refuses.
const OPEN_FILES: &str = "nofile=1024:1024";
const PROCESSES: &str = "nproc=1024:1024";

/// A container that is about to be run.
pub(super) struct Container<'a> {
    found: &'a Found,
    name: String,
    words: Vec<String>,
    image: String,
    arguments: Vec<String>,
}

impl<'a> Container<'a> {
    /// A container of `image`, which is removed when it ends, within what the driver says: nothing to write to, no
    /// capabilities and no way to them.
    pub(super) fn new(found: &'a Found, driver: &ResolvedDriver, image: String, network: ContainerNetwork) -> Self {
        let name = new_name();
        let mut words: Vec<String> = ["run", "--rm", "--interactive", "--read-only", "--log-driver", "none"]
            .into_iter()
            .chain(["--cap-drop", "all", "--security-opt", "no-new-privileges"])
            // The labels of files stay as they are: what is mounted belongs to the user, not to a container.
            .chain(["--security-opt", "label=disable", "--ulimit", OPEN_FILES, "--ulimit", PROCESSES])
            .map(str::to_owned)
            .collect();
        let mut option = |name: &str, value: String| words.extend([name.to_owned(), value]);
        option("--name", name.clone());
        // For whoever looks at a listing, or for a container that should not be there.
        option("--label", format!("peat.process={}", std::process::id()));
        option("--network", network.as_str().to_owned());
        if found.limits.memory {
            option("--memory", driver.memory().to_string());
            // No swap beside it.
            option("--memory-swap", driver.memory().to_string());
        }
        if found.limits.pids {
            option("--pids-limit", driver.pids().to_string());
        }
        if let Some(cpus) = driver.options.cpus {
            option("--cpus", cpus.to_string());
        }
        // What is mounted is for its owner alone. A container of an ordinary user's Podman has its user as root.
        if found.runtime == ContainerRuntime::Docker || getuid().is_root() {
            option("--user", format!("{}:{}", getuid().as_raw(), getgid().as_raw()));
        }
        if found.runtime == ContainerRuntime::Podman {
            // Podman gives a container proxies, hosts and a writable /tmp unless it is told not to.
            words.extend(["--http-proxy=false", "--no-hosts", "--read-only-tmpfs=false"].map(str::to_owned));
        }
        Self { found, name, words, image, arguments: Vec::new() }
    }

    /// A container of the runner: from the image that was made here, and from nowhere else; without a network.
    pub(super) fn of_runner(found: &'a Found, driver: &ResolvedDriver) -> Self {
        let mut container = Self::new(found, driver, found.image.clone(), ContainerNetwork::None);
        container.option("--pull", "never");
        container
    }

    /// Its name.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Adds an option.
    pub(super) fn option(&mut self, name: &str, value: impl Into<String>) {
        self.words.extend([name.to_owned(), value.into()]);
    }

    /// Adds an argument of what runs in it.
    pub(super) fn argument(&mut self, value: impl Into<String>) {
        self.arguments.push(value.into());
    }

    /// Shows it a directory of this machine, to be read.
    pub(super) fn mount(&mut self, directory: &Path, inside: &Path) -> Result<(), LaunchError> {
        let source = mountable(directory)?;
        self.option("--mount", format!("type=bind,source={source},target={},readonly", inside.display()));
        Ok(())
    }

    /// The command line.
    pub(super) fn command(self) -> Command {
        let mut command = self.found.command();
        command.args(self.words).arg(self.image).args(self.arguments);
        command
    }
}

/// The path as it can stand in a mount, whose parts are separated by commas.
fn mountable(directory: &Path) -> Result<String, LaunchError> {
    let directory = directory.canonicalize().unwrap_or_else(|_| PathBuf::from(directory));
    match directory.to_str() {
        Some(path) if !path.contains([',', '"', '\n']) => Ok(path.to_owned()),
        _ => Err(LaunchError(format!(
            "the directory {} cannot be mounted into a container: its path has a comma, a quotation mark or bytes that are \
             no text; rename it, or use the driver process",
            directory.display()
        ))),
    }
}

/// Nobody else's, and recognisable in a listing.
fn new_name() -> String {
    let mut random = [0; 8];
    SystemRandom.fill(&mut random);
    random.iter().fold("peat-".to_owned(), |name, byte| format!("{name}{byte:02x}"))
}

#[cfg(test)]
mod tests {
    use peat_core::repository::{Driver, RepositoryConfig};

    use super::super::found::{LimitsHere, Oci};
    use super::*;

    fn words(runtime: ContainerRuntime, limits: LimitsHere, rest: &str) -> String {
        let config = RepositoryConfig::parse("peat.yaml", &format!("format: 1\nid: 0a1b2c3d4e5f\n{rest}")).unwrap();
        let driver = ResolvedDriver::of_run(Some(Driver::Container), None, None, &config);
        let found = Found {
            runtime,
            program: "/usr/bin/program".into(),
            oci: (runtime == ContainerRuntime::Podman).then_some(Oci::Runc),
            limits,
            image: "image".to_owned(),
        };
        let mut container = Container::of_runner(&found, &driver);
        container.argument("--flag");
        container.mount(Path::new("/"), Path::new("/inside")).unwrap();
        let command = container.command();
        let words: Vec<_> = command.get_args().map(|word| word.to_string_lossy().into_owned()).collect();
        words.join(" ")
    }

    #[test]
    fn a_container_has_nothing_that_it_was_not_given() {
        for runtime in [ContainerRuntime::Podman, ContainerRuntime::Docker] {
            let words = words(runtime, LimitsHere::ALL, "drivers: {container: {cpus: 1.5, memory: 1GiB}}\n");
            for expected in [
                "--rm",
                "--read-only ",
                "--network none",
                "--cap-drop all",
                "--security-opt no-new-privileges",
                "--memory 1073741824 --memory-swap 1073741824",
                "--pids-limit 64",
                "--cpus 1.5",
                "--mount type=bind,source=/,target=/inside,readonly",
            ] {
                assert!(words.contains(expected), "{expected}: {words}");
            }
            assert!(words.ends_with(" image --flag"), "{words}");
        }
        let podman = words(ContainerRuntime::Podman, LimitsHere::NONE, "");
        assert!(podman.starts_with("--runtime runc run ") && !podman.contains("--memory"), "{podman}");
    }

    #[test]
    fn a_path_that_would_be_read_as_options_is_refused() {
        let error = mountable(Path::new("/srv/a,readonly=false")).unwrap_err().to_string();
        assert!(error.contains("comma") && error.contains("rename"), "{error}");
    }
}
