//! Executions outside of the process: what they cost beside one inside of it, and beside a container that does nothing.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::check::Check;
use super::measure::Figure;
use super::subject::Subject;
use crate::process;

/// What was measured of the drivers.
#[derive(Debug)]
pub(super) struct Isolated {
    inside: Figure,
    process: Figure,
    first: Figure,
    compiled: f64,
    containers: Option<[Figure; 2]>,
}

/// Measures `run`, a command of `subject` whose method does nothing, on every driver that works here. Runs in turn: of
/// milliseconds, of what compiles first, of containers.
pub(super) fn measure(
    subject: &Subject,
    runner: &Path,
    run: &[&str],
    runs: usize,
    compiling_runs: usize,
    container_runs: usize,
) -> Result<Isolated> {
    let on = |driver| [run, &["--driver", driver]].concat();
    let first = Figure::measure("first run, driver process (compiles)", compiling_runs, || {
        subject.forget_compiled()?;
        subject.time(&on("process"))
    })?;
    let cache = subject.json(&["cache", "status"])?;
    let compiled = cache["cache"]["artifacts"].as_array().context("cache status lists artifacts")?.len() as f64;
    let names = ["later run, driver in-process", "later run, driver process"];
    let [inside, process] =
        Figure::measure_both(names, runs, || subject.time(&on("in-process")), || subject.time(&on("process")))?;
    let containers = match Bare::found(subject, runner)? {
        None => {
            println!("No container runtime works here (see `peat doctor`): containers are not measured");
            None
        }
        Some(bare) => {
            let names = ["a container that prints its version", "later run, driver container"];
            Some(Figure::measure_both(names, container_runs, || bare.time(), || subject.time(&on("container")))?)
        }
    };
    Ok(Isolated { inside, process, first, compiled, containers })
}

impl Isolated {
    /// Beside what a first run in the process takes.
    pub(super) fn checks(&self, first_inside: &Figure) -> Vec<Check> {
        let compiling = first_inside.median() - self.inside.median();
        let mut checks = vec![
            Check::timed("driver process beyond in-process", "ms", self.process.median() - self.inside.median(), 10.0),
            Check::timed(
                "first run, process / (compiling + later run)",
                "",
                self.first.median() / (compiling + self.process.median()),
                1.1,
            ),
            Check::counted("components compiled by that first run", "", self.compiled, 1.0),
        ];
        if let Some([bare, container]) = &self.containers {
            let name = "driver container / a container that prints";
            checks.push(Check::timed(name, "", container.median() / bare.median(), 1.3));
        }
        checks
    }

    /// All of it.
    pub(super) fn into_figures(self) -> Vec<Figure> {
        let mut figures = vec![self.inside, self.process, self.first];
        figures.extend(self.containers.into_iter().flatten());
        figures
    }
}

/// A container of a static program that does next to nothing, run as Peat runs its own: the same runtime, image and options.
struct Bare {
    runtime: String,
    oci: Option<String>,
    image: String,
}

impl Bare {
    /// What `peat` uses, if anything works here. Its image is made by its first run.
    fn found(subject: &Subject, runner: &Path) -> Result<Option<Self>> {
        let doctor = subject.json(&["doctor"])?;
        let findings = doctor["findings"].as_array().context("doctor prints findings")?;
        let works = findings.iter().filter(|finding| finding["state"] == "good");
        let Some(name) = works.filter_map(|finding| finding["subject"].as_str()?.strip_prefix("containers: ")).next()
        else {
            return Ok(None);
        };
        let (runtime, oci) = match name.split_once(" with ") {
            Some((runtime, oci)) => (runtime, Some(oci.to_owned())),
            None => (name, None),
        };
        let mut listing = Command::new(runtime);
        listing.args(["images", "--format", "{{.Repository}}:{{.Tag}}", "localhost/peat-runner"]);
        let images = String::from_utf8(process::output(&mut listing)?)?;
        let image = images.lines().next().with_context(|| format!("no image of {}", runner.display()))?;
        Ok(Some(Self { runtime: runtime.to_owned(), oci, image: image.to_owned() }))
    }

    fn time(&self) -> Result<Duration> {
        let mut command = Command::new(&self.runtime);
        command.args(self.oci.iter().flat_map(|oci| ["--runtime", oci]));
        command.args(["run", "--rm", "--interactive", "--read-only", "--log-driver", "none", "--cap-drop", "all"]);
        command.args(["--security-opt", "no-new-privileges", "--security-opt", "label=disable", "--network", "none"]);
        command.args(["--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1024:1024", "--pull", "never"]);
        if self.runtime == "podman" {
            command.args(["--http-proxy=false", "--no-hosts", "--read-only-tmpfs=false"]);
        }
        command.args([&*self.image, "--version"]).stdin(Stdio::null());
        let started = Instant::now();
        let output = command.output().with_context(|| format!("cannot start {}", self.runtime))?;
        let took = started.elapsed();
        ensure!(output.status.success(), "`{}`: {}", process::shown(&command), String::from_utf8_lossy(&output.stderr));
        Ok(took)
    }
}
