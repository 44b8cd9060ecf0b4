//! Machines and checkouts.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::{Outcome, Scratch, build_directory, component, peat_binary};

/// The key that vouches for what machines of tests have compiled: the same for all of them, so each component is compiled
/// once for all tests. (Nobody else's key: an artifact that it vouches for is run by tests alone.)
const KEY: &[u8; 32] = b"all machines of tests trust this";

/// A `PEAT_HOME` of its own.
#[derive(Debug, Clone)]
pub struct Machine {
    directory: PathBuf,
    cache: PathBuf,
    variables: Vec<(String, String)>,
}

impl Machine {
    /// One that finds compiled what any test has compiled.
    pub(crate) fn new(directory: PathBuf) -> Self {
        let machine = Self { cache: build_directory().join("tests/cache"), ..Self::cold(directory) };
        let mut options = std::fs::OpenOptions::new();
        let key = options.write(true).create_new(true).mode(0o600).open(machine.home().join("artifact-key"));
        key.and_then(|mut key| key.write_all(KEY)).expect("the scratch directory is ours");
        machine
    }

    /// One that has compiled nothing, with a cache and a key of its own.
    pub(crate) fn cold(directory: PathBuf) -> Self {
        std::fs::create_dir_all(directory.join("home")).expect("the scratch directory is ours");
        Self { cache: directory.join("cache"), directory, variables: Vec::new() }
    }

    /// The same machine with more environment variables.
    pub fn with_variables(mut self, variables: &[(String, String)]) -> Self {
        self.variables.extend_from_slice(variables);
        self
    }

    /// Its `PEAT_HOME`.
    pub fn home(&self) -> PathBuf {
        self.directory.join("home")
    }

    /// Its `PEAT_CACHE_DIR`.
    pub fn cache(&self) -> &Path {
        &self.cache
    }

    /// A directory on this machine, made when it is not there.
    pub fn directory(&self, name: &str) -> PathBuf {
        let directory = self.directory.join(name);
        std::fs::create_dir_all(&directory).expect("the scratch directory is ours");
        directory
    }

    /// `peat` on this machine, in `directory`, with nothing of the surrounding environment that could change what it does.
    pub fn command(&self, directory: &Path) -> Command {
        let mut command = Command::new(peat_binary());
        command.current_dir(directory).stdin(Stdio::null()).env_clear();
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("PEAT_HOME", self.home()).env("PEAT_CACHE_DIR", &self.cache);
        command.env("HOME", &self.directory).env("TZ", "UTC").env("COLUMNS", "100").env("RUST_BACKTRACE", "0");
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Runs `peat` to its end in `directory`.
    #[track_caller]
    pub fn peat(&self, directory: &Path, arguments: &[&str]) -> Outcome {
        let output = self.command(directory).args(arguments).output().expect("the binary starts");
        Outcome::new(format!("peat {}", arguments.join(" ")), output)
    }

    /// A new repository on this machine, made by `peat repo init`.
    pub fn repository(&self, name: &str) -> Checkout {
        let directory = self.directory(name);
        let checkout = Checkout { machine: self.clone(), directory };
        checkout.peat(&["repo", "init"]).ok();
        checkout
    }

    /// A clone of what git would keep of `other`, on this machine.
    pub fn clone_of(&self, other: &Checkout, name: &str) -> Checkout {
        let directory = self.directory(name);
        copy_tree(&other.directory, &directory);
        Checkout { machine: self.clone(), directory }
    }
}

/// A directory with `peat.yaml`.
#[derive(Debug, Clone)]
pub struct Checkout {
    machine: Machine,
    directory: PathBuf,
}

impl Checkout {
    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.directory
    }

    /// Its machine.
    pub fn machine(&self) -> &Machine {
        &self.machine
    }

    /// `peat` in this checkout, for tests that start it themselves.
    pub fn command<S: AsRef<str>>(&self, arguments: &[S]) -> Command {
        let mut command = self.machine.command(&self.directory);
        command.args(arguments.iter().map(AsRef::as_ref));
        command
    }

    /// Runs `peat` to its end.
    #[track_caller]
    pub fn peat<S: AsRef<str>>(&self, arguments: &[S]) -> Outcome {
        let words: Vec<&str> = arguments.iter().map(AsRef::as_ref).collect();
        let output = self.command(arguments).output().expect("the binary starts");
        Outcome::new(format!("peat {}", words.join(" ")), output)
    }

    /// Writes a file of the repository.
    pub fn write(&self, path: &str, content: impl AsRef<[u8]>) {
        let file = self.directory.join(path);
        std::fs::create_dir_all(file.parent().expect("a file has a directory")).expect("the checkout is ours");
        std::fs::write(file, content).expect("the checkout is ours");
    }

    /// Reads a file of the repository.
    pub fn read(&self, path: &str) -> String {
        let file = self.directory.join(path);
        std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
    }

    /// Makes a `command/shell` model that runs `script`.
    #[track_caller]
    pub fn shell_model(&self, name: &str, script: &str) {
        self.peat(&["model", "create", name, "--type", "command/shell", "--argument", &format!("run={script}")]).ok();
    }

    /// Copies a built component into the repository, where a clone finds it, and installs it.
    #[track_caller]
    pub fn install(&self, name: &str, more: &[&str]) {
        let target = format!("extensions/{name}.wasm");
        self.write(&target, std::fs::read(component(name)).expect("the component was just seen"));
        let mut arguments = vec!["extension", "add", &target];
        arguments.extend(more);
        self.peat(&arguments).ok();
    }

    /// Chooses a shared datastore: a directory, or a bucket where the tests are run against a server of their own.
    #[track_caller]
    pub fn share(&self, scratch: &Scratch) {
        self.share_with(scratch, &[]);
    }

    /// The same with more words for `peat datastore setup`.
    #[track_caller]
    pub fn share_with(&self, scratch: &Scratch, more: &[&str]) {
        if crate::bucket::is_elsewhere() {
            crate::TestBucket::new().share(self, more);
        } else {
            self.share_directory(&scratch.shared_directory(), more);
        }
    }

    /// Installs `@peat/directory` and chooses it as the datastore.
    #[track_caller]
    pub fn share_through(&self, directory: &Path) {
        self.share_directory(directory, &[]);
    }

    #[track_caller]
    fn share_directory(&self, directory: &Path, more: &[&str]) {
        self.install("peat-directory", &[]);
        let setting = format!("path={}", directory.display());
        let setup = ["datastore", "setup", "@peat/directory", "--setting", &setting];
        self.peat(&[&setup[..], more].concat()).ok();
    }
}

fn copy_tree(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("the scratch directory is ours");
    for entry in std::fs::read_dir(from).expect("the checkout is ours") {
        let entry = entry.expect("the checkout is ours");
        let target = to.join(entry.file_name());
        if entry.file_type().expect("the checkout is ours").is_dir() {
            copy_tree(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).expect("the checkout is ours");
        }
    }
}
