//! Seeded randomness, so that a failing test can be run again.

/// SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators").
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// Seeded by the environment variable `PEAT_TEST_SEED`, or by `default`. Printed, so that a failure shows it.
    pub fn from_environment(default: u64) -> Self {
        let seed = std::env::var("PEAT_TEST_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(default);
        println!("PEAT_TEST_SEED={seed}");
        Self(seed)
    }

    /// A number below `bound`.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }
}
