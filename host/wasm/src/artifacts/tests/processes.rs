//! Many processes at once: one makes, all have it.

use std::process::{Command, Stdio};

use super::*;

/// Where the processes of a test meet.
const PLACE_VARIABLE: &str = "PEAT_TEST_CACHE_PLACE";

/// How many there are.
const PROCESSES: usize = 8;

/// Not a test: what the test below starts as a process of its own.
#[test]
#[ignore = "started by another test"]
fn a_process_that_wants_a_bundle() {
    let place = std::path::PathBuf::from(std::env::var(PLACE_VARIABLE).unwrap());
    let mut own = Place::new().with_cache(&place.join("cache"));
    // Large enough that all of them are there before it is compiled.
    own.wasm = std::fs::read(place.join("component.wasm")).unwrap();
    let authentication = key_file::load_or_create(&place.join("key")).unwrap();
    let cache = OwnedDirectory::create(&own.cache()).unwrap();
    let directory = cache.child(own.engine.key()).unwrap();
    let shelf = Shelf { directory, authentication };
    // All begin at once.
    std::io::stdin().read_line(&mut String::new()).unwrap();
    let made = shelf.bundle(own.engine.engine(), &own.key_of(), own.bytes(), &own.metadata());
    let Ok((bundle, made)) = made else { panic!("there is no bundle") };
    let native = std::fs::read(bundle.directory.join(BUNDLE_ARTIFACT)).unwrap();
    assert_eq!(Digest::of(&native), bundle.digest);
    println!("\nmade={made} {}", bundle.digest);
}

#[test]
fn of_eight_processes_that_want_the_same_bundle_at_the_same_time_one_makes_it() {
    let place = Place::new();
    let functions: String = (0..2_000)
        .map(|number| {
            format!(
                "(func (export \"f{number}\") (param i64) (result i64) (i64.mul (local.get 0) (i64.const {number})))"
            )
        })
        .collect();
    let component = wat::parse_str(format!("(component (core module {functions}))")).unwrap();
    std::fs::write(place.directory.path().join("component.wasm"), component).unwrap();
    let start = |_| {
        Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "artifacts::tests::processes::a_process_that_wants_a_bundle", "--ignored", "--nocapture"])
            .env(PLACE_VARIABLE, place.directory.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap()
    };
    let mut running: Vec<_> = (0..PROCESSES).map(start).collect();
    for process in &mut running {
        drop(process.stdin.take());
    }
    let said: Vec<String> = running
        .into_iter()
        .map(|process| {
            let output = process.wait_with_output().unwrap();
            assert!(output.status.success(), "{output:?}");
            let said = String::from_utf8(output.stdout).unwrap();
            said.lines().find(|line| line.starts_with("made=")).unwrap().to_owned()
        })
        .collect();
    let made = said.iter().filter(|line| line.starts_with("made=true")).count();
    assert_eq!(made, 1, "{said:?}");
    let digest = |line: &String| line.split(' ').nth(1).unwrap().to_owned();
    assert!(said.iter().all(|line| digest(line) == digest(&said[0])), "{said:?}");
}
