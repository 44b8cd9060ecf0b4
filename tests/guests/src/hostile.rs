//! Every hostile guest made of text: one file of `hostile/` a behaviour, and how each of them must end.
//!
//! A file holds the items of a core module (`text::model` adds what every model needs) and begins with a comment that says
//! what the guest does. `tests/guests/README.md` lists them beside the hostile guests of other kinds.

use Ends::{Deadline, Limit, Trap, Well};

use crate::text::{model, model_metadata};

/// How a run of a guest ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ends {
    /// Its method answers "done": what it tried was refused, cut or cleaned up.
    Well,
    /// It traps, for a reason that has these words.
    Trap(&'static str),
    /// It hits the limit of this name.
    Limit(&'static str),
    /// It reaches its deadline, and nothing before.
    Deadline,
}

/// A hostile guest.
#[derive(Debug, Clone, Copy)]
pub struct Hostile {
    /// Its file in `hostile/`; its extension is `@test/{name}`, its method `run`.
    pub name: &'static str,
    /// How a run ends.
    pub ends: Ends,
    text: &'static str,
}

impl Hostile {
    /// The guest of this name.
    pub fn named(name: &str) -> &'static Self {
        HOSTILE.iter().find(|guest| guest.name == name).unwrap_or_else(|| panic!("no hostile guest is called {name}"))
    }

    /// What it does: the comment at the beginning of its file.
    pub fn does(&self) -> String {
        let comment = self.text.lines().map_while(|line| line.strip_prefix(";; "));
        comment.collect::<Vec<_>>().join(" ")
    }

    /// Whether it is met when it is added, because it does its worst while it is instantiated.
    pub fn is_refused_when_added(&self) -> bool {
        ["endless-start", "born-large", "born-with-large-table"].contains(&self.name)
    }

    /// The capability that must be granted to it.
    pub fn wants(&self) -> Option<&'static str> {
        (self.name == "escape-directory").then_some("files")
    }

    /// The extension.
    pub fn extension(&self) -> Vec<u8> {
        model(self.text, &model_metadata(self.name, self.wants()))
    }
}

macro_rules! hostile {
    ($($name:literal $ends:expr,)*) => {
        /// All of them.
        pub const HOSTILE: &[Hostile] = &[$(Hostile {
            name: $name,
            ends: $ends,
            text: include_str!(concat!("../hostile/", $name, ".wat")),
        }),*];
    };
}

hostile! {
    // Computing.
    "endless-loop" Deadline,
    "endless-start" Deadline,
    "endless-recursion" Limit("bytes of stack"),
    "trap" Trap("unreachable"),
    "divide-by-zero" Trap("divide by zero"),
    "read-outside" Trap("out of bounds"),
    "call-nothing" Trap("uninitialized element"),
    // Memory and tables.
    "grow-memory" Limit("bytes of memory"),
    "born-large" Limit("bytes of memory"),
    "grow-table" Limit("table elements"),
    "born-with-large-table" Limit("table elements"),
    // What is handed to the host.
    "giant-line" Well,
    "log-flood" Well,
    "progress-flood" Deadline,
    "host-call-flood" Deadline,
    "giant-string" Limit("bytes in one host call"),
    "giant-list" Limit("bytes in one host call"),
    "too-large-blob" Well,
    "lying-length" Trap("out of bounds"),
    "bad-text" Trap("utf-8"),
    "unknown-level" Trap("discriminant"),
    "random-flood" Limit("random bytes in one call"),
    // Handles and contents.
    "leak-handles" Limit("handles"),
    "leave-handles" Well,
    "hoard-contents" Limit("bytes of small contents alive at once"),
    "hoard-writers" Limit("bytes of small contents alive at once"),
    "slice-without-end" Limit("handles"),
    "slice-outside" Well,
    "slices-add-up" Well,
    "name-flood" Well,
    "unknown-handle" Trap("unknown handle"),
    "use-after-drop" Trap("unknown handle"),
    "wrong-handle" Trap("wrong type"),
    "finish-twice" Well,
    // Answers.
    "answer-bad-text" Trap("utf-8"),
    "answer-outside" Trap("out of bounds"),
    "answer-unknown-case" Trap("discriminant"),
    "answer-misaligned" Trap("not aligned"),
    "answer-giant" Limit("bytes in one host call"),
    "answer-control-characters" Well,
    "answer-twice" Trap("called more than once"),
    "never-answer" Trap("failed to produce a result"),
    // Waiting.
    "sleep-for-ever" Deadline,
    "wait-for-nothing" Trap("cannot make further progress"),
    "wait-on-nothing-known" Trap("unknown handle"),
    "yield-for-ever" Deadline,
    "unknown-callback-code" Trap("unsupported callback code"),
    "call-flood" Limit("handles"),
    "trap-while-waiting" Trap("unreachable"),
    "trap-after-waiting" Trap("unreachable"),
    "answer-and-leave-calls" Well,
    "answer-and-compute" Deadline,
    // Cancelling and dropping.
    "cancel-twice" Trap("after terminal status"),
    "cancel-nothing" Trap("unknown handle"),
    "cancel-itself" Trap("has not been cancelled"),
    "drop-running-call" Trap("not yet resolved"),
    "drop-call-twice" Trap("unknown handle"),
    "drop-used-set" Trap("resource has children"),
    "join-no-set" Trap("unknown handle"),
    "drop-what-is-lent" Trap("while borrowed"),
    // Re-entering, and allocation that lies.
    "reenter" Trap("cannot leave"),
    "allocate-outside" Trap("realloc return: beyond end of memory"),
    "allocate-for-ever" Deadline,
    "result-outside" Trap("out of bounds"),
    // A standard library.
    "print-flood" Well,
    "probe-environment" Well,
    "exit" Trap("exited with status 0"),
    "wasi-random-flood" Trap("exceeds limit"),
    "wasi-sleep-for-ever" Deadline,
    "escape-directory" Well,
}
