//! The README is true as printed: its commands are run in order, and what it shows of their output is what they print.

#![allow(clippy::unwrap_used, reason = "a test ends where something it counts on is not so")]

use std::fs;
use std::process::Command;

use peat_end_to_end_tests::{Outcome, Scratch, peat_binary, project};

#[test]
fn the_commands_of_the_readme_do_what_it_says() {
    let readme = fs::read_to_string(project().join("README.md")).unwrap();
    let build = peat_binary().ancestors().nth(2).unwrap().display().to_string();
    let (mut script, mut printed, mut inside) = (String::new(), Vec::new(), false);
    for line in readme.lines() {
        match line.strip_prefix("$ ") {
            _ if line.starts_with("```") => inside = line == "```console",
            Some(command) if inside => script.push_str(&format!("{command}\n")),
            None if inside => printed.push(line),
            _ => {}
        }
    }
    assert!(script.lines().count() > 10 && !printed.is_empty(), "the README shows no commands:\n{script}");
    let script = script.replace("$PWD/target", &build).replace("$PROJECT/target", &build);

    let scratch = Scratch::new();
    let like = scratch.machine().command(project());
    let mut shell = Command::new("sh");
    shell.args(["-eu", "-c", &script]).current_dir(project()).env_clear().env("TMPDIR", scratch.path());
    shell.envs(like.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let outcome = Outcome::of(script, shell.output().unwrap()).ok();
    for line in printed {
        assert!(outcome.stdout.lines().any(|shown| shown == line), "{line:?} is not printed by:\n{outcome}");
    }
}
