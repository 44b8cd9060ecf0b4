//! An exhaustive check of the lease protocol for three participants: every order of their steps, every takeover at any
//! moment (clocks are not trusted), every answer lost, every write late. The model is one of the rules in
//! docs/shared-store.md, not of the code; that the code keeps them is for the seeded schedules to show. Each rule is also
//! switched off once, and the check must then find what it is there for.

#![allow(unreachable_pub, reason = "the modules of one test")]

mod model;
mod rules;
mod search;
mod state;

use model::{Participants, Property};
use rules::{Asks, Rules};
use search::search;
use state::Role::{Keeper, Writer};
use state::{Bounds, Role};

/// Writers only: takeovers and commits. Deeper, because there is no namespace root to write.
const WRITERS: Bounds = Bounds { head_writes: 8, root_writes: 0, late_writes: 2 };

/// With a structural lock.
const MIXED: Bounds = Bounds { head_writes: 5, root_writes: 4, late_writes: 1 };

/// With two of them.
const STRUCTURAL: Bounds = Bounds { head_writes: 4, root_writes: 5, late_writes: 1 };

fn participants(roles: [Role; 3], rules: Rules) -> Participants {
    let bounds = match roles.iter().filter(|role| **role == Keeper).count() {
        0 => WRITERS,
        1 => MIXED,
        _ => STRUCTURAL,
    };
    Participants { roles, rules, bounds }
}

/// Nothing that must never be can be reached, and everybody can get through.
fn holds(roles: [Role; 3]) {
    let found = search(&participants(roles, Rules::ALL), &Property::ALL);
    println!("{roles:?}: {} states", found.states);
    assert_eq!(found.broken, None);
    assert!(found.all_through, "nobody gets through: the model does nothing");
}

/// Without one of the rules a state is reached that this property forbids.
#[track_caller]
fn breaks(roles: [Role; 3], rules: Rules, property: Property) {
    let found = search(&participants(roles, rules), &[property]);
    assert!(found.broken.is_some(), "{property:?} holds in all {} states: what is the rule for?", found.states);
}

#[test]
fn three_writers_take_over_from_each_other_and_lose_nothing() {
    holds([Writer, Writer, Writer]);
}

#[test]
fn two_writers_and_a_structural_command() {
    holds([Writer, Writer, Keeper]);
}

#[test]
fn a_writer_and_two_structural_commands() {
    holds([Writer, Keeper, Keeper]);
}

#[test]
fn without_conditions_an_acknowledged_commit_is_lost() {
    breaks([Writer; 3], Rules { conditional: false, ..Rules::ALL }, Property::NothingLost);
}

#[test]
fn without_a_new_epoch_for_a_takeover_two_commit_in_one_epoch() {
    breaks([Writer; 3], Rules { takeover_raises_epoch: false, ..Rules::ALL }, Property::OneAnEpoch);
}

#[test]
fn without_looking_at_the_lease_again_a_fenced_holder_commits() {
    breaks([Writer; 3], Rules { looks_at_lease_again: false, ..Rules::ALL }, Property::OnlyTheHolder);
}

#[test]
fn without_remembered_commits_a_commit_is_done_twice() {
    breaks([Writer; 3], Rules { remembers_commits: false, ..Rules::ALL }, Property::DoneOnce);
}

#[test]
fn without_asking_a_writer_commits_under_a_structural_lock() {
    let rules = Rules { asks: Asks::Never, ..Rules::ALL };
    breaks([Writer, Writer, Keeper], rules, Property::KeptOut);
}

#[test]
fn an_answer_from_before_the_head_was_read_is_worth_nothing() {
    let rules = Rules { asks: Asks::BeforeTheHead, ..Rules::ALL };
    breaks([Writer, Writer, Keeper], rules, Property::KeptOut);
}

#[test]
fn a_head_that_is_made_without_a_mark_is_missed_by_a_structural_command() {
    let rules = Rules { makes_marked: false, ..Rules::ALL };
    breaks([Writer, Writer, Keeper], rules, Property::KeptOut);
}

#[test]
fn a_structural_command_that_marks_nothing_keeps_nobody_out() {
    let rules = Rules { keeper_marks: false, ..Rules::ALL };
    breaks([Writer, Writer, Keeper], rules, Property::KeptOut);
}

#[test]
fn a_structural_command_that_marks_the_heads_before_it_locks_keeps_nobody_out() {
    let rules = Rules { locks_before_it_marks: false, ..Rules::ALL };
    breaks([Writer, Writer, Keeper], rules, Property::KeptOut);
}

#[test]
fn a_silent_writer_that_is_passed_over_instead_of_fenced_commits_under_the_lock() {
    let rules = Rules { keeper_fences: false, ..Rules::ALL };
    breaks([Writer, Writer, Keeper], rules, Property::KeptOut);
}

#[test]
fn a_silent_structural_command_that_is_passed_over_instead_of_fenced_still_has_its_lock() {
    let rules = Rules { writer_fences: false, ..Rules::ALL };
    breaks([Writer, Writer, Keeper], rules, Property::KeptOut);
}

#[test]
fn a_structural_lock_that_is_not_renewed_after_the_drain_may_be_somebody_elses() {
    let rules = Rules { renews_after_drain: false, ..Rules::ALL };
    breaks([Writer, Keeper, Keeper], rules, Property::HasWhatItWasTold);
}
