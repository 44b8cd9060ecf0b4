//! Repositories written wrong, names that try to escape, arguments that do not fit: each a clear error, exit code 2 or 3,
//! nothing changed.

#![allow(clippy::unwrap_used, reason = "a test ends where something it counts on is not so")]

use peat_end_to_end_tests::{Checkout, Scratch};

const ID: &str = "format: 1\nid: 0a1b2c3d4e5f\n";

fn repository(scratch: &Scratch) -> Checkout {
    let repository = scratch.machine().repository("r");
    repository.shell_model("hello", "echo hello");
    repository
}

#[test]
fn a_wrong_peat_yaml_is_named_with_place_and_remedy() {
    let scratch = Scratch::new();
    let repository = repository(&scratch);
    for (text, words) in [
        (format!("{ID}namespce: x\n"), ["namespce", "peat.yaml"]),
        (format!("{ID}lockTimeout: [1]\n"), ["lockTimeout", "peat.yaml"]),
        (format!("{ID}lockTimeout: soon\n"), ["90s", "peat.yaml"]),
        (format!("{ID}datastore: s3\n"), ["datastore: local", "peat.yaml"]),
        (format!("{ID}namespace: ../other\n"), ["namespace", "peat.yaml"]),
        (format!("{ID}id: 0a1b2c3d4e5f\n"), ["duplicate", "peat.yaml"]),
        ("format: 9\nid: 0a1b2c3d4e5f\n".to_owned(), ["newer peat", "peat.yaml"]),
        ("id: 0a1b2c3d4e5f\n".to_owned(), ["format", "peat.yaml"]),
        ("format: [\n".to_owned(), ["line", "peat.yaml"]),
        ("\u{0}\u{1}\u{2}".to_owned(), ["peat.yaml", "peat.yaml"]),
        ("- 1\n- 2\n".to_owned(), ["peat.yaml", "peat.yaml"]),
        (String::new(), ["end of input", "peat.yaml"]),
        (format!("{ID}x: &a [*a]\n"), ["peat.yaml", "peat.yaml"]),
        (format!("{ID}#{}\n", "x".repeat(2 * 1024 * 1024)), ["bytes", "peat.yaml"]),
    ] {
        repository.write("peat.yaml", &text);
        for command in [&["model", "list"][..], &["model", "method", "run", "hello", "execute"]] {
            repository.peat(command).ended_with(2).says(&words);
        }
        let json = repository.peat(&["model", "list", "--json"]).ended_with(2);
        assert_eq!(json.json()["error"]["exitCode"], 2, "{json}");
        assert_eq!(repository.read("peat.yaml"), text);
    }
    repository.write("peat.yaml", [0xff, 0xfe, 0x00]);
    repository.peat(&["model", "list"]).ended_with(2).says(&["peat.yaml"]);
}

#[test]
fn a_wrong_model_is_named_with_place_and_remedy() {
    let scratch = Scratch::new();
    let repository = repository(&scratch);
    let model = "id: 1a1b2c3d4e5f\nname: bad\ntype: command/shell\n";
    for (text, word) in [
        (format!("{model}colour: red\n"), "colour"),
        (format!("{model}arguments: [1]\n"), "arguments"),
        (format!("{model}driver: moon\n"), "moon"),
        (format!("{model}name: bad\n"), "name"),
        (format!("{model}reads: [../x]\n"), "../x"),
        (model.replace("bad", "../../etc/passwd"), "model name"),
        (model.replace("command/shell", "shell"), "model type"),
        (model.replace("1a1b2c3d4e5f", "x"), "model id"),
        ("name: bad\n".to_owned(), "id"),
        ("{".to_owned(), "line"),
    ] {
        repository.write("models/bad.yaml", &text);
        repository.peat(&["model", "validate"]).ended_with(2).shows(&["models/bad.yaml", word]);
    }
}

#[test]
fn names_and_ids_are_unique_in_a_repository() {
    let scratch = Scratch::new();
    let repository = repository(&scratch);
    let hello = repository.read("models/hello.yaml");
    // The same name in another file, and the same id under another name.
    repository.write("models/again.yaml", &hello);
    repository.peat(&["model", "validate"]).ended_with(2).shows(&["models/again.yaml", "models/hello.yaml"]);
    repository.write("models/again.yaml", hello.replace("name: hello", "name: again"));
    repository.peat(&["model", "validate"]).ended_with(2).shows(&["models/again.yaml", "models/hello.yaml"]);
    std::fs::remove_file(repository.path().join("models/again.yaml")).unwrap();
    repository.peat(&["model", "validate"]).ok();
    repository.peat(&["model", "create", "hello", "--type", "command/shell"]).ended_with(2).says(&["hello"]);
    assert_eq!(repository.read("models/hello.yaml"), hello);
}

#[test]
fn what_is_not_there_is_not_found() {
    let scratch = Scratch::new();
    let repository = repository(&scratch);
    repository.peat(&["model", "method", "run", "hello", "execute"]).ok();
    for (command, words) in [
        (&["model", "get", "helo"][..], ["helo", "hello"]),
        (&["model", "method", "run", "helo", "execute"], ["helo", "hello"]),
        (&["model", "method", "run", "hello", "exekute"], ["exekute", "execute"]),
        (&["data", "get", "hello", "stdot"], ["stdot", "stdout"]),
        (&["data", "get", "hello", "stdout", "--version", "7"], ["7", "data versions"]),
        (&["data", "versions", "hello", "nothing"], ["nothing", "data list"]),
        (&["run", "show", "0000000000-00000000"], ["0000000000-00000000", "run list"]),
        (&["run", "logs", "0000000000-00000000"], ["0000000000-00000000", "run list"]),
        (&["model", "type", "describe", "@no/such"], ["@no/such", "extension add"]),
        (&["extension", "inspect", "@no/such"], ["@no/such", "extension"]),
        (&["extension", "remove", "@no/such"], ["@no/such", "extension"]),
        (&["datastore", "setup", "@no/such"], ["@no/such", "extension add"]),
        (&["extension", "add", "nowhere.wasm"], ["nowhere.wasm", "nowhere.wasm"]),
        (&["model", "list", "--repo", "/no/such/place"], ["/no/such/place", "/no/such/place"]),
    ] {
        repository.peat(command).ended_with(3).says(&words);
    }
}

#[test]
fn a_data_name_cannot_escape() {
    let scratch = Scratch::new();
    let repository = repository(&scratch);
    let long = "a/".repeat(2048) + "a";
    for name in ["..", "../x", "a/../../x", "/etc/passwd", "a\\b", "C:\\x", "a//b", ".hidden", "Ä", "", &long] {
        for command in [&["data", "get", "hello", name][..], &["data", "versions", "hello", name]] {
            let outcome = repository.peat(command).ended_with(2).says(&["data name", "segments"]);
            assert!(outcome.stderr.len() < 1000, "a bad name is shown bounded: {outcome}");
        }
    }
    for name in ["..", "../x", "/x", "a/b", "A", "", &long] {
        repository.peat(&["model", "create", name, "--type", "command/shell"]).ended_with(2);
    }
    assert_eq!(std::fs::read_dir(repository.path().join("models")).unwrap().count(), 1);
}

#[test]
fn arguments_that_do_not_fit_their_schema_are_refused_before_anything_runs() {
    let scratch = Scratch::new();
    let repository = repository(&scratch);
    let witness = scratch.path().join("it-ran");
    repository.shell_model("witness", &format!("touch {}", witness.display()));
    let run = ["model", "method", "run", "witness", "execute"];
    for (inputs, code, word) in [
        (&["--input", "rum=x"][..], 2, "rum"),
        (&["--input", "timeout=soon"], 2, "write 90s"),
        (&["--input", "environment=[\"A=B\"]"], 2, "A=B"),
        (&["--input", "workingDirectory=../.."], 2, "leads out of the repository"),
        (&["--input", "workingDirectory=/etc"], 2, "leads out of the repository"),
        (&["--input", "workingDirectory=none"], 2, "workingDirectory"),
        (&["--input", "run"], 2, "name=value"),
        (&["--input-file", "nowhere.json"], 3, "nowhere.json"),
    ] {
        repository.peat(&[&run[..], inputs].concat()).ended_with(code).says(&[word]);
    }
    repository.peat(&["model", "create", "idle", "--type", "command/shell"]).ok();
    repository.peat(&["model", "method", "run", "idle", "execute"]).ended_with(2).says(&["--input run="]);
    repository.write("list.json", "[1]");
    repository.peat(&[&run[..], &["--input-file", "list.json"]].concat()).ended_with(2).says(&["list.json"]);
    let create = ["model", "create", "bad", "--type", "command/shell", "--argument", "rum=x"];
    repository.peat(&create).ended_with(2).says(&["rum"]);
    let soon = ["model", "create", "bad", "--type", "command/shell", "--argument", "timeout=soon"];
    repository.peat(&soon).ended_with(2).says(&["/timeout", "write 90s"]);
    assert_eq!(repository.peat(&["run", "list", "--json"]).ok().json()["total"], 0, "a refused run left a record");
    assert!(!witness.exists(), "the method ran");
    assert!(!repository.path().join("models/bad.yaml").exists());
}

#[test]
fn a_wrong_lock_file_is_named() {
    let scratch = Scratch::new();
    let repository = repository(&scratch);
    for text in ["{", "{\"format\": 9, \"extensions\": []}", "{\"format\": 1, \"extensions\": [], \"more\": 1}"] {
        repository.write("peat.lock", text);
        repository.peat(&["extension", "list"]).ended_with(2).says(&["peat.lock"]);
    }
}

#[test]
fn a_grant_that_is_not_there_or_not_wanted_is_said() {
    let scratch = Scratch::new();
    let repository = repository(&scratch);
    let file = peat_end_to_end_tests::component("example-text");
    let add = ["extension", "add", file.to_str().unwrap()];
    repository.peat(&add).ended_with(7).says(&["@examples/text", "files", "--grant files:NAME=DIR"]);
    let missing = [&add[..], &["--grant", "files:source=no-such-directory"]].concat();
    repository.peat(&missing).ended_with(3).says(&["no-such-directory"]);
    let unwanted = [&add[..], &["--grant", "files:source=.", "--grant", "secrets:token=TOKEN"]].concat();
    repository.peat(&unwanted).ended_with(2).says(&["secrets:token"]);
    repository.peat(&[&add[..], &["--grant", "network:all"]].concat()).ended_with(2).says(&["network:all"]);
    assert!(!repository.path().join("peat.lock").exists(), "a refused extension left a trace");
}

#[test]
fn a_granted_directory_cannot_be_left() {
    let scratch = Scratch::new();
    let repository = repository(&scratch);
    repository.write("source/inside.txt", "inside\n");
    repository.write("outside.txt", "outside\n");
    std::os::unix::fs::symlink("../outside.txt", repository.path().join("source/link.txt")).unwrap();
    repository.install("example-text", &["--grant", "files:source=source"]);
    repository.peat(&["model", "create", "text", "--type", "@examples/text"]).ok();
    let long = "x".repeat(4096);
    for path in ["../outside.txt", "/etc/passwd", "link.txt", "a\\..\\b", "..", &long] {
        let input = format!("path={path}");
        let outcome = repository.peat(&["model", "method", "run", "text", "profile", "--input", &input]).ended_with(1);
        assert!(!outcome.stdout.contains("outside\n"), "{outcome}");
    }
    repository.peat(&["model", "method", "run", "text", "profile", "--input", "path=inside.txt"]).ok();
}

#[test]
fn who_waits_for_the_files_of_a_repository_waits_no_longer_than_for_a_lease() {
    let scratch = Scratch::new();
    let repository = repository(&scratch);
    let holder = std::fs::File::open(repository.path()).unwrap();
    holder.lock().unwrap();
    for command in [&["datastore", "setup", "local"][..], &["extension", "remove", "@no/such"]] {
        let output = repository.command(command).env("PEAT_LOCK_TIMEOUT", "200ms").output().unwrap();
        let outcome = peat_end_to_end_tests::Outcome::of(command.join(" "), output).ended_with(4);
        outcome.says(&["is being changed by another process", "waited 200ms", "PEAT_LOCK_TIMEOUT"]);
    }
    drop(holder);
    repository.peat(&["datastore", "setup", "local"]).ok();
}
