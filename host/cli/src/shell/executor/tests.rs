use std::sync::Mutex;
use std::time::Instant;

use peat_core::content::read_all;
use peat_core::entry::{Entry, Lifetime, Tag};
use peat_core::identifiers::{MethodName, ModelId, ModelName, ModelTypeName, RunId, Version};
use peat_core::ports::{RunDataError, SpoolWriter, StoreError};
use peat_store::SystemClock;
use serde_json::{Value, json};

use super::*;

/// What the commands of these tests sleep that must not be waited for.
const SLEEP: Duration = Duration::from_secs(30);

struct MemorySpool;
struct MemoryWriter(Vec<u8>);

impl Spool for MemorySpool {
    fn begin(&self) -> Result<Box<dyn SpoolWriter>, StoreError> {
        Ok(Box::new(MemoryWriter(Vec::new())))
    }
}

impl SpoolWriter for MemoryWriter {
    fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }
    fn finish(self: Box<Self>) -> Result<SharedContent, StoreError> {
        Ok(in_memory(self.0))
    }
}

#[derive(Default)]
struct Recorded {
    data: Mutex<Vec<(String, Vec<u8>)>>,
    lines: Mutex<Vec<String>>,
}

#[async_trait::async_trait]
impl RunData for Recorded {
    fn write(
        &self,
        name: DataName,
        content: SharedContent,
        _content_type: String,
        _lifetime: Option<Lifetime>,
        _tags: Vec<Tag>,
    ) -> Result<(), RunDataError> {
        self.data.lock().unwrap().push((name.to_string(), read_all(&*content, 1 << 20).unwrap()));
        Ok(())
    }
    async fn read(
        &self,
        _model: Option<&ModelName>,
        name: &DataName,
        _version: Option<Version>,
    ) -> Result<(Entry, SharedContent), RunDataError> {
        Err(RunDataError::NotFound(name.to_string()))
    }
    fn list(
        &self,
        _model: Option<&ModelName>,
        _prefix: &str,
        _after: Option<&DataName>,
        _limit: u32,
    ) -> Result<Vec<Entry>, RunDataError> {
        Ok(Vec::new())
    }
}

impl RunLog for Recorded {
    fn line(&self, _level: &str, text: &str) {
        self.lines.lock().unwrap().push(text.to_owned());
    }
}

impl Recorded {
    fn text(&self, name: &str) -> String {
        let data = self.data.lock().unwrap();
        let (_, bytes) = data.iter().find(|(written, _)| written == name).unwrap();
        String::from_utf8(bytes.clone()).unwrap()
    }
}

async fn execute(arguments: Value) -> (Result<MethodOutcome, MethodError>, Recorded) {
    execute_with(arguments, |_| {}).await
}

/// `begun` is handed the executor before anything runs.
async fn execute_with(
    arguments: Value,
    begun: impl FnOnce(&Arc<ShellExecutor>),
) -> (Result<MethodOutcome, MethodError>, Recorded) {
    let root = tempfile::tempdir().unwrap();
    let root_path = root.path().canonicalize().unwrap();
    let executor = Arc::new(ShellExecutor::new(root_path, Arc::new(MemorySpool), Arc::new(SystemClock)));
    let invocation = Invocation {
        run_id: RunId::parse("01hzzzzz-abcd").unwrap(),
        model_id: ModelId::parse("0a1b2c3d4e5f").unwrap(),
        model_name: ModelName::parse("hello").unwrap(),
        model_type: ModelTypeName::parse("command/shell").unwrap(),
        method: MethodName::parse("execute").unwrap(),
        model_arguments: json!({}),
        arguments,
        deadline: Duration::from_secs(60),
        held: None,
    };
    begun(&executor);
    let recorded = Recorded::default();
    let result = executor.execute(&invocation, &recorded, &recorded).await;
    (result, recorded)
}

#[tokio::test]
async fn output_becomes_data_and_errors_become_the_log() {
    let (result, recorded) = execute(json!({ "run": "echo out; echo one >&2; printf two >&2" })).await;
    assert_eq!(result.unwrap().summary, "exit status 0");
    assert_eq!(recorded.text("stdout"), "out\n");
    assert_eq!(*recorded.lines.lock().unwrap(), ["one", "two"]);
    let result: Value = serde_json::from_str(&recorded.text("result")).unwrap();
    assert_eq!((&result["exitStatus"], &result["stdoutBytes"]), (&json!(0), &json!(4)));
}

#[tokio::test]
async fn a_failing_command_fails_the_method_and_keeps_its_output() {
    let (result, recorded) = execute(json!({ "run": "echo partial; exit 7" })).await;
    assert!(result.unwrap_err().to_string().contains("exit status 7"));
    assert_eq!(recorded.text("stdout"), "partial\n");
}

#[tokio::test]
async fn only_the_named_variables_are_inherited() {
    let (result, recorded) = execute(json!({ "run": "env", "environment": ["CARGO_MANIFEST_DIR"] })).await;
    result.unwrap();
    let text = recorded.text("stdout");
    let mut names: Vec<&str> = text.lines().filter_map(|line| line.split_once('=')).map(|(name, _)| name).collect();
    // The shell itself sets these.
    names.retain(|name| !["PWD", "OLDPWD", "SHLVL", "_"].contains(name));
    names.sort_unstable();
    assert_eq!(names, ["CARGO_MANIFEST_DIR", "PATH"]);
}

#[tokio::test]
async fn a_timeout_kills_the_whole_group() {
    let marker = tempfile::NamedTempFile::new().unwrap();
    let run = format!("(sleep 2; echo alive > {}) & sleep 30", marker.path().display());
    let started = Instant::now();
    let (result, _) = execute(json!({ "run": run, "timeout": "300ms" })).await;
    assert!(result.unwrap_err().to_string().contains("300ms"));
    assert!(started.elapsed() < SLEEP);
    std::thread::sleep(Duration::from_millis(2500));
    assert_eq!(std::fs::read(marker.path()).unwrap(), b"");
}

#[tokio::test]
async fn what_runs_in_the_background_does_not_outlive_the_command() {
    let started = Instant::now();
    let (result, recorded) = execute(json!({ "run": "sleep 30 & echo done" })).await;
    result.unwrap();
    assert_eq!(recorded.text("stdout"), "done\n");
    assert!(started.elapsed() < SLEEP);
}

#[tokio::test]
async fn large_output_arrives_whole() {
    let (result, recorded) = execute(json!({ "run": "head -c 700000 /dev/zero" })).await;
    result.unwrap();
    assert_eq!(recorded.text("stdout").len(), 700_000);
}

#[tokio::test]
async fn what_a_command_printed_before_its_timeout_is_kept() {
    let run = "echo half; echo why >&2; sleep 30";
    let (result, recorded) = execute(json!({ "run": run, "timeout": "3s" })).await;
    let error = result.unwrap_err().to_string();
    assert!(error.contains("3s") && error.contains("is kept"), "{error}");
    assert_eq!(recorded.text("stdout"), "half\n");
    assert_eq!(*recorded.lines.lock().unwrap(), ["why"]);
    let result: Value = serde_json::from_str(&recorded.text("result")).unwrap();
    assert_eq!((&result["exitStatus"], &result["signal"]), (&Value::Null, &json!(9)));
}

#[tokio::test]
async fn what_a_command_printed_before_it_was_stopped_is_kept() {
    let witness = tempfile::tempdir().unwrap();
    let printed = witness.path().join("printed");
    let run = format!("echo half; touch {}; sleep 30", printed.display());
    let stop_when_printed = |executor: &Arc<ShellExecutor>| {
        let executor = Arc::clone(executor);
        std::thread::spawn(move || {
            while !printed.exists() {
                std::thread::sleep(Duration::from_millis(5));
            }
            assert!(executor.stop());
        });
    };
    let started = Instant::now();
    let (result, recorded) = execute_with(json!({ "run": run }), stop_when_printed).await;
    assert!(matches!(result, Err(MethodError::Interrupted)), "{result:?}");
    assert_eq!(recorded.text("stdout"), "half\n");
    assert!(started.elapsed() < SLEEP);
}

#[tokio::test]
async fn a_process_that_fled_and_writes_for_ever_does_not_hold_the_run() {
    let started = Instant::now();
    let (result, recorded) = execute(json!({ "run": "setsid yes >&2 & sleep 0.2; exit 0" })).await;
    result.unwrap();
    assert_eq!(recorded.lines.lock().unwrap()[0], "y");
    assert!(started.elapsed() < SLEEP, "{:?}", started.elapsed());
}
