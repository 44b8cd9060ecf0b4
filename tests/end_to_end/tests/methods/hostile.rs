//! Every hostile guest of `tests/guests/hostile` that can be added: its named error, bounded memory of the host, and a next
//! run that works. The others are in `bad_extensions.rs`.

use peat_test_guests::{Ends, HOSTILE, Hostile};

use crate::subject::Subject;

/// Resident memory that a host may have beside what the limits of its guests allow, in MiB.
const HOST_MIB: u64 = 64;

/// What the default limits allow a guest: of memory of its own, and of small contents in the host's; in MiB each.
const LIMIT_MIB: u64 = 256;

macro_rules! hostile {
    ($($guest:ident),* $(,)?) => {
        $(fn $guest(subject: &mut Subject) {
            ends_as_it_must(subject, &stringify!($guest).replace('_', "-"));
        })*

        on_every_driver! { $($guest),* }

        #[test]
        fn every_hostile_guest_is_tested() {
            let tested = [$(stringify!($guest)),*].map(|name| name.replace('_', "-"));
            let all = HOSTILE.iter().filter(|guest| !guest.is_refused_when_added()).map(|guest| guest.name);
            assert_eq!(tested.to_vec(), all.collect::<Vec<_>>());
        }
    };
}

hostile! {
    endless_loop,
    endless_recursion,
    trap,
    divide_by_zero,
    read_outside,
    call_nothing,
    grow_memory,
    grow_table,
    giant_line,
    log_flood,
    progress_flood,
    host_call_flood,
    giant_string,
    giant_list,
    too_large_blob,
    lying_length,
    bad_text,
    unknown_level,
    random_flood,
    leak_handles,
    leave_handles,
    hoard_contents,
    hoard_writers,
    slice_without_end,
    slice_outside,
    slices_add_up,
    name_flood,
    unknown_handle,
    use_after_drop,
    wrong_handle,
    finish_twice,
    answer_bad_text,
    answer_outside,
    answer_unknown_case,
    answer_misaligned,
    answer_giant,
    answer_control_characters,
    answer_twice,
    never_answer,
    sleep_for_ever,
    wait_for_nothing,
    wait_on_nothing_known,
    yield_for_ever,
    unknown_callback_code,
    call_flood,
    trap_while_waiting,
    trap_after_waiting,
    answer_and_leave_calls,
    answer_and_compute,
    cancel_twice,
    cancel_nothing,
    cancel_itself,
    drop_running_call,
    drop_call_twice,
    drop_used_set,
    join_no_set,
    drop_what_is_lent,
    reenter,
    allocate_outside,
    allocate_for_ever,
    result_outside,
    print_flood,
    probe_environment,
    exit,
    wasi_random_flood,
    wasi_sleep_for_ever,
    escape_directory,
}

#[track_caller]
fn ends_as_it_must(subject: &mut Subject, name: &str) {
    let guest = Hostile::named(name);
    let grants: &[&str] = if guest.wants().is_some() { &["--grant", "files:folder=folder"] } else { &[] };
    subject.made_model(&guest.extension(), &format!("@test/{name}"), "guest", grants);
    subject.model("test-empty", "good", &[]);
    // Only who does not end by itself is given little time: everybody else may be slow.
    let timeout: &[&str] = if guest.ends == Ends::Deadline { &["--timeout", "1s"] } else { &[] };
    let (outcome, peak_mib) = subject.observe(&[&["guest", "run"], timeout].concat());
    let (code, words) = match guest.ends {
        Ends::Well => (0, "done".to_owned()),
        Ends::Trap(because) => (1, because.to_owned()),
        Ends::Limit(limit) => (1, limit.to_owned()),
        Ends::Deadline => (1, "did not finish run within 1000 ms".to_owned()),
    };
    assert_eq!(outcome.code, Some(code), "{outcome}");
    // Its own name must not stand for what it is about.
    let summary = outcome.json()["run"]["summary"].as_str().unwrap().replace(&format!("@test/{name}"), "");
    assert!(summary.contains(&words), "{words:?} is missing in:\n{outcome}");
    assert!(peak_mib < LIMIT_MIB + HOST_MIB, "the host had {peak_mib} MiB: {outcome}");
    subject.run(&["good", "nothing"]).ok();
}
