//! What a store must be able to do is tried before anything is trusted: conditions are honoured, races have one winner,
//! reads and listings see what was written, the clocks agree. Fails closed, naming what was ignored.

use futures::future::join_all;

use crate::chain::Chain;
use crate::error::{ErrorKind, Result};
use crate::keys::PROBE_PREFIX;
use crate::limits::{CLOCK_SKEW_MS_MAX, PROBE_RACERS};
use crate::ports::{Condition, Listing, Lookup, Range, World};
use crate::types::{Finding, Verdict};

/// Largest scratch object that is read back, in bytes: they hold a name and an id.
const SCRATCH_BYTES_MAX: usize = 256;

/// Keys of one probe's scratch objects.
#[derive(Debug)]
struct Scratch {
    prefix: String,
    single: String,
    race: String,
}

impl<W: World> Chain<W> {
    /// All examinations. An error only when the store cannot be reached or refuses access; what it does wrong is a finding.
    pub(crate) async fn probe(&self) -> Result<Vec<Finding>> {
        let prefix = format!("{PROBE_PREFIX}{}/", self.new_id());
        let scratch = Scratch { single: format!("{prefix}single"), race: format!("{prefix}race"), prefix };
        let findings = self.examine(&scratch).await;
        let cleaned = self.world.delete(&[scratch.single.clone(), scratch.race.clone()]).await;
        let mut findings = findings?;
        findings.push(self.examine_deletion(&scratch, cleaned.is_ok()).await?);
        Ok(findings)
    }

    async fn examine(&self, scratch: &Scratch) -> Result<Vec<Finding>> {
        let mut findings = Vec::new();
        let first = self.scratch_blob("first").await?;
        let began_ms = self.world.elapsed_ms();
        let first = self.world.put(&scratch.single, &first, Condition::Absent).await?;
        let write_ms = self.world.elapsed_ms().saturating_sub(began_ms);
        findings.push(self.examine_reading(scratch, &first).await?);
        findings.push(self.examine_second_create(scratch).await?);
        let swap = self
            .world
            .put(&scratch.single, &self.scratch_blob("second").await?, Condition::Matches(first.clone()))
            .await;
        findings.push(match &swap {
            Ok(_) => passed("compare-and-swap", "a write with the current ETag was accepted"),
            Err(error) => failed(
                "compare-and-swap",
                format!(
                    "a write with the current ETag was refused ({error}); the store cannot be used without If-Match"
                ),
            ),
        });
        findings.push(self.examine_stale_swap(scratch, &first).await?);
        findings.push(self.examine_race(scratch, Condition::Absent, "race of creates").await?);
        let Lookup::Found { object, .. } = self.world.get(&scratch.race, None).await? else {
            findings.push(failed("race of swaps", "an unconditional read was answered \"not modified\"".to_owned()));
            return Ok(findings);
        };
        findings.push(self.examine_race(scratch, Condition::Matches(object.etag), "race of swaps").await?);
        let began_ms = self.world.elapsed_ms();
        let listing = self.world.list(&scratch.prefix, None).await?;
        let list_ms = self.world.elapsed_ms().saturating_sub(began_ms);
        findings.push(self.examine_listing(scratch, &listing).await?);
        findings.push(examine_clock(scratch, &listing));
        findings.push(passed("latency", &format!("a write took {write_ms} ms, a listing {list_ms} ms")));
        Ok(findings)
    }

    async fn examine_reading(&self, scratch: &Scratch, etag: &str) -> Result<Finding> {
        const NAME: &str = "read after write";
        let Lookup::Found { object, .. } = self.world.get(&scratch.single, None).await? else {
            return Ok(failed(NAME, "an unconditional read was answered \"not modified\"".to_owned()));
        };
        if object.etag != etag {
            let detail = format!("a read answered ETag {} after the write had answered {etag}", object.etag);
            return Ok(failed(NAME, format!("{detail}; compare-and-swap cannot work")));
        }
        if !matches!(self.world.get(&scratch.single, Some(etag)).await?, Lookup::NotModified) {
            return Ok(failed(NAME, "If-None-Match with the current ETag was ignored by a read".to_owned()));
        }
        let ranges = [Range { offset: 2, length: 3 }, Range { offset: 0, length: 1 }];
        let parts = self.world.get_ranges(&scratch.single, &ranges).await?;
        let mut bytes = Vec::new();
        for part in &parts {
            bytes.push(self.read_all(&scratch.single, part, 16).await?);
        }
        Ok(if bytes == [b"rst".to_vec(), b"f".to_vec()] {
            passed(NAME, "reads, conditional reads and ranges see what was written")
        } else {
            failed(NAME, "ranges of an object are not the bytes that were written".to_owned())
        })
    }

    async fn examine_second_create(&self, scratch: &Scratch) -> Result<Finding> {
        const NAME: &str = "second create";
        Ok(match self.world.put(&scratch.single, &self.scratch_blob("other").await?, Condition::Absent).await {
            Err(error) if error.kind == ErrorKind::Conflict => passed(NAME, "a create of what exists was refused"),
            Err(error) => return Err(error),
            Ok(_) => ignored(NAME, "If-None-Match: *", "two writers could both create a head"),
        })
    }

    async fn examine_stale_swap(&self, scratch: &Scratch, stale: &str) -> Result<Finding> {
        const NAME: &str = "stale compare-and-swap";
        let condition = Condition::Matches(stale.to_owned());
        Ok(match self.world.put(&scratch.single, &self.scratch_blob("stale").await?, condition).await {
            Err(error) if error.kind == ErrorKind::Conflict => passed(NAME, "a write with an old ETag was refused"),
            Err(error) => return Err(error),
            Ok(_) => ignored(NAME, "If-Match", "a writer with an old view would drop the data of others"),
        })
    }

    /// Several writers under one condition at once: exactly one may win, and its bytes must be there.
    async fn examine_race(&self, scratch: &Scratch, condition: Condition, name: &str) -> Result<Finding> {
        let texts: Vec<Vec<u8>> =
            (0..PROBE_RACERS).map(|racer| format!("{name} {racer} {}", self.new_id()).into_bytes()).collect();
        let mut blobs = Vec::new();
        for text in &texts {
            blobs.push(self.world.blob(text).await?);
        }
        let racers = blobs.iter().map(|blob| self.world.put(&scratch.race, blob, condition.clone()));
        let answers = join_all(racers).await;
        if let Some(error) =
            answers.iter().filter_map(|answer| answer.as_ref().err()).find(|error| !error.is_ambiguous())
        {
            return Err(error.clone());
        }
        let Lookup::Found { object, content, .. } = self.world.get(&scratch.race, None).await? else {
            return Ok(failed(name, "an unconditional read was answered \"not modified\"".to_owned()));
        };
        let there = self.read_all(&scratch.race, &content, SCRATCH_BYTES_MAX).await?;
        let author = texts.iter().position(|text| *text == there);
        let told: Vec<(usize, &String)> =
            answers.iter().enumerate().filter_map(|(racer, answer)| Some((racer, answer.as_ref().ok()?))).collect();
        Ok(match told.as_slice() {
            [(racer, etag)] if Some(*racer) == author && **etag == object.etag => {
                passed(name, &format!("one of {PROBE_RACERS} writers won"))
            }
            [_] => failed(name, "the writer that was told it won is not the one whose bytes are there".to_owned()),
            // A busy store may not tell; the protocol finds out as we did.
            [] if author.is_some() => passed(name, &format!("one of {PROBE_RACERS} writers won, as a read showed")),
            [] => failed(name, format!("none of {PROBE_RACERS} writers won; try again when the store is less busy")),
            _ => failed(
                name,
                format!(
                    "{} of {PROBE_RACERS} writers won: conditions are not atomic, writers would lose data",
                    told.len()
                ),
            ),
        })
    }

    async fn examine_listing(&self, scratch: &Scratch, listing: &Listing) -> Result<Finding> {
        const NAME: &str = "list after write";
        for key in [&scratch.single, &scratch.race] {
            let Lookup::Found { object, .. } = self.world.get(key, None).await? else { continue };
            let listed = listing.objects.iter().find(|listed| listed.key == *key);
            if listed.map(|listed| &listed.etag) != Some(&object.etag) {
                return Ok(failed(
                    NAME,
                    format!("a listing does not show {key} with its ETag; changes would be missed"),
                ));
            }
        }
        Ok(passed(NAME, "listings show what was written, with its ETag"))
    }

    async fn examine_deletion(&self, scratch: &Scratch, cleaned: bool) -> Result<Finding> {
        const NAME: &str = "delete";
        if !cleaned {
            return Ok(failed(NAME, format!("scratch objects under {} cannot be deleted", scratch.prefix)));
        }
        let left = self.world.list(&scratch.prefix, None).await?;
        Ok(if left.objects.is_empty() {
            passed(NAME, "what was deleted is gone from listings")
        } else {
            failed(NAME, format!("objects under {} are listed after they were deleted", scratch.prefix))
        })
    }

    async fn scratch_blob(&self, text: &str) -> Result<W::Blob> {
        self.world.blob(format!("{text} {}", self.new_id()).as_bytes()).await
    }
}

fn examine_clock(scratch: &Scratch, listing: &Listing) -> Finding {
    const NAME: &str = "clock";
    let objects = listing.objects.iter().filter(|object| object.key.starts_with(&scratch.prefix));
    let skew_ms = objects.map(|object| object.modified_ms.abs_diff(listing.store_time_ms)).max().unwrap_or(0);
    if skew_ms <= CLOCK_SKEW_MS_MAX {
        passed(NAME, &format!("object times and the store's clock agree within {skew_ms} ms"))
    } else {
        let detail =
            format!("object times and the store's clock differ by {skew_ms} ms, more than {CLOCK_SKEW_MS_MAX} ms");
        failed(NAME, format!("{detail}; leases of dead holders would be given up too early or too late"))
    }
}

fn passed(name: &str, detail: &str) -> Finding {
    Finding { name: name.to_owned(), verdict: Verdict::Passed, detail: detail.to_owned() }
}

fn failed(name: &str, detail: String) -> Finding {
    Finding { name: name.to_owned(), verdict: Verdict::Failed, detail }
}

fn ignored(name: &str, condition: &str, consequence: &str) -> Finding {
    failed(name, format!("the store ignored {condition}: {consequence}; use a store that honours it"))
}
