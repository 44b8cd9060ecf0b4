//! Guests that misbehave: each ends with its own named error, the host stays bounded, and the next call works.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod world;

use std::time::{Duration, Instant};

use peat_core::ports::{ExtensionError, MethodError};
use peat_wasm::Limits;

use world::component::{RUN, model, model_metadata, model_module, model_with};
use world::{Ran, World, invocation};

const LONG: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_millis(300);

/// Runs a guest, checks that a good one still runs afterwards, and answers the first one's error.
async fn failure(world: &World, guest: &[u8], deadline: Duration) -> ExtensionError {
    let ran = world.run(guest, deadline).await;
    let next = world.run(&model("", "(call $ok)"), LONG).await;
    assert_eq!(next.result.expect("the next call failed").summary, "done");
    match ran.result {
        Err(MethodError::Extension(error)) => error,
        other => panic!("the guest was not stopped: {other:?}"),
    }
}

fn assert_trapped(error: &ExtensionError, with: &str) {
    assert!(matches!(error, ExtensionError::Trapped { reason, .. } if reason.contains(with)), "{error}");
}

fn assert_limit(error: &ExtensionError, on: &str) {
    assert!(matches!(error, ExtensionError::Limit { limit, .. } if limit == on), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_guest_that_does_its_work_answers() {
    let ran = World::new().run(&model("", "(call $ok)"), LONG).await;
    assert_eq!(ran.result.unwrap().summary, "done");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trap_ends_the_call_alone() {
    let world = World::new();
    assert_trapped(&failure(&world, &model("", "unreachable"), LONG).await, "unreachable");
    let divides = model("", "(drop (i32.div_u (i32.const 1) (i32.const 0))) (call $ok)");
    assert_trapped(&failure(&world, &divides, LONG).await, "divide by zero");
    let outside = model("", "(drop (i32.load (i32.const -4))) (call $ok)");
    assert_trapped(&failure(&world, &outside, LONG).await, "out of bounds");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endless_loop_ends_at_the_deadline() {
    let world = World::new();
    let guest = model("", "(loop (br 0)) (call $ok)");
    let begun = Instant::now();
    let error = failure(&world, &guest, SHORT).await;
    assert!(matches!(error, ExtensionError::Deadline { deadline_ms: 300, .. }), "{error}");
    assert!(begun.elapsed() < Duration::from_secs(20), "took {:?}", begun.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endless_start_function_ends_at_the_deadline() {
    let world = World::new();
    let guest = model("(func $spin (loop (br 0)))\n(start $spin)", "(call $ok)");
    let error = failure(&world, &guest, SHORT).await;
    assert!(matches!(error, ExtensionError::Deadline { .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn endless_recursion_hits_the_stack_limit() {
    let world = World::new();
    let guest = model(
        "(func $deeper (param i32) (result i32) (i32.add (i32.const 1) (call $deeper (local.get 0))))",
        "(drop (call $deeper (i32.const 0))) (call $ok)",
    );
    assert_limit(&failure(&world, &guest, LONG).await, "bytes of stack");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory_without_bound_hits_its_limit() {
    let world = World::new();
    let grows = model("", "(loop (br_if 0 (i32.ne (memory.grow (i32.const 16)) (i32.const -1)))) unreachable");
    assert_limit(&failure(&world, &grows, LONG).await, "bytes of memory");
    let born_large = model("(memory (export \"memory\") 8192)", "(call $ok)");
    assert_limit(&failure(&world, &born_large, LONG).await, "bytes of memory");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_guest_that_lives_with_a_refused_growth_goes_on() {
    let world = World::new();
    let guest = model("", "(if (i32.ne (memory.grow (i32.const 8192)) (i32.const -1)) (then unreachable)) (call $ok)");
    assert_eq!(world.run(&guest, LONG).await.result.unwrap().summary, "done");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tables_without_bound_hit_their_limit() {
    let world = World::new();
    let guest = model(
        "(table $t 1 funcref)",
        "(loop (br_if 0 (i32.ne (table.grow $t (ref.null func) (i32.const 10000)) (i32.const -1)))) unreachable",
    );
    assert_limit(&failure(&world, &guest, LONG).await, "table elements");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gigabyte_of_log_is_cut_and_said_so_once() {
    let world = World::new();
    // 16 MiB less one page a line; 70 lines are more than a gigabyte.
    let guest = model(
        "(import \"peat:host/log@0.1.0\" \"write\" (func $write (param i32 i32 i32)))\n\
         (memory (export \"memory\") 256)",
        "(memory.fill (i32.const 8192) (i32.const 120) (i32.const 16000000))
         (loop
            (call $write (i32.const 2) (i32.const 8192) (i32.const 16000000))
            (local.set $i (i32.add (local.get $i) (i32.const 1)))
            (br_if 0 (i32.lt_u (local.get $i) (i32.const 70))))
         (call $ok)",
    );
    let before = resident_bytes();
    let ran = world.run(&guest, LONG).await;
    assert_eq!(ran.result.as_ref().unwrap().summary, "done");
    let kept: usize = ran.log.iter().map(String::len).sum();
    assert!(kept <= 4 * 1024 * 1024 + 100_000, "{kept} bytes of log were kept");
    assert!(ran.log.last().unwrap().contains("the log is cut"), "{}", ran.log.last().unwrap());
    assert_eq!(ran.log.iter().filter(|line| line.contains("the log is cut")).count(), 1);
    let grown = resident_bytes().saturating_sub(before);
    assert!(grown < 200 * 1024 * 1024, "the host grew by {grown} bytes");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_lines_of_log_are_counted() {
    let world = World::new();
    let guest = model(
        "(import \"peat:host/log@0.1.0\" \"write\" (func $write (param i32 i32 i32)))",
        "(loop
            (call $write (i32.const 2) (i32.const 1024) (i32.const 4))
            (local.set $i (i32.add (local.get $i) (i32.const 1)))
            (br_if 0 (i32.lt_u (local.get $i) (i32.const 15000))))
         (call $ok)",
    );
    let ran = world.run(&guest, LONG).await;
    assert_eq!(ran.log.len(), 10_001);
    assert_eq!(ran.log[0], "info: done");
    assert!(ran.log[10_000].contains("5000 lines and 20000 bytes more"), "{}", ran.log[10_000]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn too_much_data_in_one_host_call_hits_its_limit() {
    let world = World::new();
    let guest = model(
        "(import \"peat:host/log@0.1.0\" \"write\" (func $write (param i32 i32 i32)))\n\
         (memory (export \"memory\") 400)",
        "(call $write (i32.const 2) (i32.const 8192) (i32.const 20000000)) (call $ok)",
    );
    assert_limit(&failure(&world, &guest, LONG).await, "bytes in one host call");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn too_many_random_bytes_hit_their_limit() {
    let world = World::new();
    let guest = model(
        "(import \"peat:host/random@0.1.0\" \"bytes\" (func $bytes (param i32 i32)))",
        "(call $bytes (i32.const 1000000) (i32.const 4096)) (call $ok)",
    );
    assert_limit(&failure(&world, &guest, LONG).await, "random bytes in one call");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn handles_without_bound_hit_their_limit() {
    let world = World::new();
    assert_limit(&failure(&world, &makes_blobs(0), LONG).await, "handles");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn contents_without_bound_hit_their_limit() {
    let world = World::new();
    let before = resident_bytes();
    assert_limit(&failure(&world, &makes_blobs(65_000), LONG).await, "bytes of small contents alive at once");
    let grown = resident_bytes().saturating_sub(before);
    assert!(grown < 400 * 1024 * 1024, "the host grew by {grown} bytes");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn contents_in_the_making_are_bounded_too() {
    let world = World::new();
    let guest = model(
        "(import \"peat:host/blobs@0.1.0\" \"[constructor]writer\" (func $writer (result i32)))",
        "(loop (drop (call $writer)) (br 0)) (call $ok)",
    );
    assert_limit(&failure(&world, &guest, LONG).await, "bytes of small contents alive at once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_component_of_too_many_tables_hits_its_limit() {
    let world = World::with(Limits { instances: 8, ..Limits::default() });
    let guest = model(&"(table 1 funcref)\n".repeat(9), "(call $ok)");
    assert_limit(&failure(&world, &guest, LONG).await, "instances, memories or tables");
}

/// Makes blobs of `length` bytes for ever and drops none.
fn makes_blobs(length: u32) -> Vec<u8> {
    model(
        "(import \"peat:host/blobs@0.1.0\" \"[static]blob.of-bytes\" (func $of_bytes (param i32 i32 i32)))",
        &format!("(loop (call $of_bytes (i32.const 8192) (i32.const {length}) (i32.const 4096)) (br 0)) (call $ok)"),
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wait_inside_a_host_call_ends_at_the_deadline() {
    let world = World::new();
    let guest = model(
        "(import \"peat:host/clock@0.1.0\" \"sleep\" (func $sleep (param i64)))",
        "(call $sleep (i64.const 3600000)) (call $ok)",
    );
    let begun = Instant::now();
    let error = failure(&world, &guest, SHORT).await;
    assert!(matches!(error, ExtensionError::Deadline { .. }), "{error}");
    assert!(begun.elapsed() < Duration::from_secs(20), "took {:?}", begun.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_guest_that_waits_for_nothing_or_never_answers_is_a_trap() {
    let world = World::new();
    let lifted = |code: &str| {
        let run = RUN.replace("\"peat:model", "\"[async-lift]peat:model");
        let callback = "(func (export \"[callback][async-lift]peat:model/methods@0.1.0#run\")
            (param i32 i32 i32) (result i32) (i32.const 0))";
        let items = format!("(import \"$root\" \"[waitable-set-new]\" (func $set (result i32)))\n{callback}");
        model_with(&model_module(&items, &format!("{run} {code})")), &model_metadata())
    };
    let waits = lifted("(i32.or (i32.shl (call $set) (i32.const 4)) (i32.const 2))");
    assert_trapped(&failure(&world, &waits, LONG).await, "cannot make further progress");
    let exits = lifted("(i32.const 0)");
    assert_trapped(&failure(&world, &exits, LONG).await, "failed to produce a result");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_is_no_value_is_a_trap() {
    let world = World::new();
    let no_text = "(i32.store8 (i32.const 1024) (i32.const 255)) (call $ok)";
    assert_trapped(&failure(&world, &model("", no_text), LONG).await, "utf-8");
    let outside = "(drop (call $ok)) (i32.store (i32.const 2052) (i32.const -8)) (i32.const 2048)";
    assert_trapped(&failure(&world, &model("", outside), LONG).await, "out of bounds");
    let no_case = "(drop (call $ok)) (i32.store8 (i32.const 2048) (i32.const 9)) (i32.const 2048)";
    assert_trapped(&failure(&world, &model("", no_case), LONG).await, "discriminant");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failure_of_the_method_is_not_a_trap() {
    let world = World::new();
    let fails =
        "(drop (call $ok)) (i32.store8 (i32.const 2048) (i32.const 1)) (i32.store8 (i32.const 2060) (i32.const 1))
        (i32.const 2048)";
    let ran = world.run(&model("", fails), LONG).await;
    match ran.result {
        Err(MethodError::Failed { message, transient }) => assert!(message == "done" && transient),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_busy_guest_starves_nobody_on_its_thread() {
    let world = World::new();
    let guest = model("", "(loop (br 0)) (call $ok)");
    // Compiled before time is taken.
    world.run(&guest, Duration::from_millis(1)).await;
    let turns = std::cell::Cell::new(0);
    let others = async {
        loop {
            tokio::time::sleep(Duration::from_millis(5)).await;
            turns.set(turns.get() + 1);
        }
    };
    tokio::select! {
        ran = world.run(&guest, Duration::from_secs(2)) => {
            assert!(matches!(ran.result, Err(MethodError::Extension(ExtensionError::Deadline { .. }))));
        }
        () = others => unreachable!("it has no end"),
    }
    // A guest that kept its thread would leave them one turn. Their number is the machine's: hundreds on an idle one.
    assert!(turns.get() >= 10, "others had {} turns within 2 s", turns.get());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dropped_run_ends_its_guest() {
    let world = World::new();
    let guest = model("", "(loop (br 0)) (call $ok)");
    let alive = tokio::runtime::Handle::current().metrics().num_alive_tasks();
    let cut = tokio::time::timeout(SHORT, world.run(&guest, LONG)).await;
    assert!(cut.is_err());
    let waited = Instant::now();
    while tokio::runtime::Handle::current().metrics().num_alive_tasks() > alive {
        assert!(waited.elapsed() < Duration::from_secs(10), "the guest's task is still there");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(world.run(&model("", "(call $ok)"), LONG).await.result.unwrap().summary, "done");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_runs_at_once_do_not_meet() {
    let world = World::new();
    let good = world.install(&model("", "(call $ok)"));
    let bad = world.install(&model("", "unreachable"));
    let invocation = invocation("run", serde_json::json!({}), LONG);
    let runs = (0..40).map(|number| {
        let source = if number % 2 == 0 { good.clone() } else { bad.clone() };
        world.execute(source, world.binding(), &invocation)
    });
    let ran: Vec<Ran> = futures::future::join_all(runs).await;
    for (number, ran) in ran.iter().enumerate() {
        assert_eq!(ran.result.is_ok(), number % 2 == 0, "run {number}: {:?}", ran.result);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_limits_are_those_of_the_host() {
    let world = World::with(Limits { memory_bytes: 1024 * 1024, ..Limits::default() });
    let guest = model("(memory (export \"memory\") 17)", "(call $ok)");
    let error = failure(&world, &guest, LONG).await;
    assert!(error.to_string().contains("1048576 bytes of memory"), "{error}");
}

/// Resident set of this process, in bytes.
fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}
