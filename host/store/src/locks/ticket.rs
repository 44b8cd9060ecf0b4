//! Tickets of one partition: numbered files, each locked by the process that drew it.
//!
//! A number is never given twice while somebody waits: the next one is above all that lie there, and a waiter's own lies
//! there. Tickets of dead processes are deleted behind the door, by whoever draws the next one: nobody can draw theirs anew
//! meanwhile.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use cap_std::fs::{Dir, OpenOptions, OpenOptionsExt as _};
use peat_core::ports::LocalHolder;
use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};

use crate::clock::wall_ms;

/// Lock files are for their owner alone.
const OWNER_ONLY: u32 = 0o600;

/// The file that is locked while a number is drawn.
const DOOR: &str = "door";

/// Digits of a ticket's name: all numbers there are, sorted as text too.
const DIGITS: usize = 20;

/// Longest ticket that is read back, in bytes.
const TICKET_BYTES: usize = 1024;

/// A drawn ticket. Dropped, it is free.
#[derive(Debug)]
pub(super) struct Ticket {
    directory: Arc<Dir>,
    number: u64,
    file: File,
    /// The tickets that were not free when it was drawn.
    ahead: Vec<u64>,
}

/// The first line of a ticket; the second is the time since when its owner holds the partition.
#[derive(Debug, Serialize, Deserialize)]
struct Record {
    pid: u32,
    command: String,
    since_ms: u64,
}

impl Ticket {
    /// Draws the next number. Blocks while others draw.
    pub(super) fn draw(directory: Arc<Dir>, command: &str) -> io::Result<Self> {
        let door = open(&directory, DOOR, true)?;
        lock(&door, FlockOperation::LockExclusive)?;
        Self::draw_behind(&door, directory, command)
    }

    /// Draws the next number unless somebody else is drawing.
    pub(super) fn try_draw(directory: Arc<Dir>, command: &str) -> io::Result<Option<Self>> {
        let door = open(&directory, DOOR, true)?;
        match flock(&door, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Self::draw_behind(&door, directory, command).map(Some),
            Err(rustix::io::Errno::WOULDBLOCK | rustix::io::Errno::INTR) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn draw_behind(door: &File, directory: Arc<Dir>, command: &str) -> io::Result<Self> {
        let lower = numbers(&directory)?;
        let number = lower.last().map_or(1, |last| last.saturating_add(1));
        let mut options = OpenOptions::new();
        options.read(true).append(true).create_new(true).mode(OWNER_ONLY);
        let file = directory.open_with(name(number), &options)?.into_std();
        lock(&file, FlockOperation::LockExclusive)?;
        let mut ticket = Self { directory, number, file, ahead: Vec::new() };
        let record = Record { pid: std::process::id(), command: command.to_owned(), since_ms: wall_ms() };
        ticket.note(&serde_json::to_string(&record)?);
        for number in lower {
            match open_if_there(&ticket.directory, number)? {
                Some(file) if is_locked(&file) => ticket.ahead.push(number),
                Some(_) => drop(ticket.directory.remove_file(name(number))),
                None => {}
            }
        }
        // Freed by hand: a child that is being started has the file open until it is another program.
        flock(door, FlockOperation::Unlock)?;
        if ticket.is_its_turn() {
            ticket.note(&wall_ms().to_string());
        }
        Ok(ticket)
    }

    /// The directory it lies in.
    pub(super) fn directory(&self) -> &Arc<Dir> {
        &self.directory
    }

    /// Whether nobody was ahead of it when it was drawn.
    pub(super) fn is_its_turn(&self) -> bool {
        self.ahead.is_empty()
    }

    /// Blocks until every ticket ahead is free.
    pub(super) fn wait_for_turn(&self) -> io::Result<()> {
        // The nearest first: it is the last to be free, unless its process dies.
        for number in self.ahead.iter().rev() {
            if let Some(file) = open_if_there(&self.directory, *number)? {
                lock(&file, FlockOperation::LockShared)?;
            }
        }
        self.note(&wall_ms().to_string());
        Ok(())
    }

    /// Frees it, also while another thread still waits for its turn.
    pub(super) fn give_up(&self) {
        let _ = self.directory.remove_file(name(self.number));
        let _ = flock(&self.file, FlockOperation::Unlock);
    }

    /// Adds a line for those who wait. Only for people: a full disk is no reason to fail.
    fn note(&self, line: &str) {
        let _ = (&self.file).write_all(format!("{line}\n").as_bytes());
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.give_up();
    }
}

/// The owners of all tickets that are not free, in their order.
pub(super) fn living(directory: &Dir) -> io::Result<Vec<LocalHolder>> {
    let mut living = Vec::new();
    for number in numbers(directory)? {
        if let Some(file) = open_if_there(directory, number)?
            && is_locked(&file)
        {
            living.push(read(&file));
        }
    }
    Ok(living)
}

/// Whether its owner has it locked. The look itself is over at once and keeps nobody from anything.
fn is_locked(file: &File) -> bool {
    match flock(file, FlockOperation::NonBlockingLockShared) {
        Err(error) => error == rustix::io::Errno::WOULDBLOCK,
        Ok(()) => {
            let _ = flock(file, FlockOperation::Unlock);
            false
        }
    }
}

fn open_if_there(directory: &Dir, number: u64) -> io::Result<Option<File>> {
    match open(directory, &name(number), false) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn read(file: &File) -> LocalHolder {
    let mut bytes = [0; TICKET_BYTES];
    let length = file.read_at(&mut bytes, 0).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes[..length]);
    let mut lines = text.lines();
    let record: Option<Record> = lines.next().and_then(|line| serde_json::from_str(line).ok());
    let held_since_ms = lines.next().and_then(|line| line.parse().ok());
    let record = record.unwrap_or_else(|| Record { pid: 0, command: "not yet known".to_owned(), since_ms: wall_ms() });
    let command = record.command.chars().filter(|shown| !shown.is_control()).collect();
    LocalHolder { pid: record.pid, command, since_ms: held_since_ms.unwrap_or(record.since_ms) }
}

/// The numbers of all tickets, in order.
fn numbers(directory: &Dir) -> io::Result<Vec<u64>> {
    let mut numbers = Vec::new();
    for entry in directory.entries()? {
        let file_name = entry?.file_name();
        numbers
            .extend(file_name.to_str().filter(|name| name.len() == DIGITS).and_then(|name| name.parse::<u64>().ok()));
    }
    numbers.sort_unstable();
    Ok(numbers)
}

/// Each open has a lock of its own: threads of one process exclude each other too. Like every file the standard library
/// opens it is closed on exec, so a child never keeps a lock alive.
pub(super) fn open(directory: &Dir, name: &str, create: bool) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(create).mode(OWNER_ONLY);
    Ok(directory.open_with(name, &options)?.into_std())
}

fn lock(file: &File, operation: FlockOperation) -> io::Result<()> {
    loop {
        match flock(file, operation) {
            Err(rustix::io::Errno::INTR) => {}
            answer => return Ok(answer?),
        }
    }
}

fn name(number: u64) -> String {
    format!("{number:0DIGITS$}")
}
