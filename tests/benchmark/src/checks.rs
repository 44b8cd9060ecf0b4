//! What the benchmark counts holds at a small size too, whenever the tests run: requests, bytes and memory do not depend on
//! the machine.

use crate::figures::Figures;
use crate::rows::{clones, moves, writes};
use crate::world::{Size, World};

/// What a full clone of four times as many objects may need more, in MiB. If it held all of them, it would be 48 MiB and
/// more: 24,000 entries of about 1 KiB and their content of 600 bytes, in host and guest.
const GROWTH_MIB: f64 = 16.0;

fn world(runtime: &tokio::runtime::Runtime, big: usize, others: usize, bulk: usize) -> World {
    World::new(runtime, Size { big, others, bulk }, 1)
}

#[test]
fn requests_bytes_and_memory_of_writes_and_clones_stay_below_their_targets() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let world = world(&runtime, 5_000, 5, 2);
    let mut figures = Figures::default();
    clones::lazy(&world, &mut figures);
    writes::fresh(&world, &mut figures);
    clones::nothing_changed(&world, &mut figures);
    moves::measure(&world, &mut figures);
    assert!(figures.missed().is_empty(), "{:#?}", figures.missed());
}

#[test]
fn memory_of_a_full_clone_does_not_grow_with_the_number_of_objects() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let peak_mib = |big, others| {
        let mut figures = Figures::default();
        let ran = clones::full(&world(&runtime, big, others, 0), &mut figures);
        assert!(figures.missed().is_empty(), "{:#?}", figures.missed());
        ran.peak_mib
    };
    let (some, many) = (peak_mib(5_000, 10), peak_mib(20_000, 55));
    println!("{some:.1} MiB for 8,000 objects, {many:.1} MiB for 32,000");
    assert!(many < some + GROWTH_MIB, "{some} MiB for 8,000 objects, {many} MiB for 32,000");
}
