//! Bringing content: one request a pack, however many of its parts are wanted, and one a large object.

use std::collections::BTreeMap;

use futures::future::join_all;
use futures::stream::{self, StreamExt as _};

use crate::chain::{Chain, Reading};
use crate::error::{Error, ErrorKind, Result};
use crate::index::Segments;
use crate::keys;
use crate::limits::{CONCURRENCY, FETCH_MAX};
use crate::ports::{Blob, Lookup, Range, World};
use crate::record::{Place, Record};
use crate::root::{Address, Root};
use crate::types::{Fetched, Wanted};

impl<W: World> Chain<W> {
    /// Content of entries, one result each, in order. `not-found` where the content is not at its place any more: a
    /// collector ran, pull the partition and ask again. The caller checks digests.
    pub async fn fetch(&self, namespace: &str, wanted: &[Wanted]) -> Result<Fetched<W::Blob>> {
        keys::check_namespace(namespace)?;
        if wanted.len() > FETCH_MAX {
            return Err(Error::input("wanted", format!("at most {FETCH_MAX} contents in one call")));
        }
        let mut answers = self.fetch_from(namespace, wanted).await?;
        if let Some(parent) = keys::parent_of(namespace) {
            let absent = absent_ones(&answers);
            let inherited: Vec<Wanted> = absent.iter().map(|index| wanted[*index].clone()).collect();
            for (index, answer) in absent.into_iter().zip(self.fetch_from(parent, &inherited).await?) {
                answers[index] = answer;
            }
        }
        if !absent_ones(&answers).is_empty() {
            // A namespace that was moved or deleted is told as such.
            self.check_readable(namespace).await?;
        }
        Ok(answers)
    }

    async fn fetch_from(&self, namespace: &str, wanted: &[Wanted]) -> Result<Fetched<W::Blob>> {
        let mut answers: Vec<Option<Result<W::Blob>>> = wanted.iter().map(|_| None).collect();
        let mut packs: BTreeMap<String, Vec<(usize, Range)>> = BTreeMap::new();
        let mut objects = Vec::new();
        let mut inline: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (index, want) in wanted.iter().enumerate() {
            let place = keys::check_partition(&want.partition).map(|()| Place::parse(&want.location));
            match place {
                Err(error) => answers[index] = Some(Err(error)),
                Ok(None) => {
                    answers[index] = Some(Err(Error::input(want.name.clone(), "its location is not known here")))
                }
                Ok(Some(Place::Inline(_))) => inline.entry(&want.partition).or_default().push(index),
                Ok(Some(Place::Object { id })) => objects.push((index, keys::object(namespace, &want.partition, &id))),
                Ok(Some(Place::Pack { id, offset, .. })) => packs
                    .entry(keys::pack(namespace, &want.partition, &id))
                    .or_default()
                    .push((index, Range { offset, length: want.size })),
            }
        }
        let inlined = join_all(inline.iter().map(|(partition, indexes)| {
            let address = Address { namespace, partition };
            self.fetch_inlined(address, wanted, indexes)
        }));
        let packed = stream::iter(packs.iter().map(|(key, parts)| self.fetch_pack(key, parts))).buffered(CONCURRENCY);
        let single =
            stream::iter(objects.iter().map(|(index, key)| self.fetch_object(*index, key))).buffered(CONCURRENCY);
        let (inlined, packed, single) = futures::join!(inlined, packed.collect::<Vec<_>>(), single.collect::<Vec<_>>());
        for (index, answer) in inlined.into_iter().flatten().chain(packed.into_iter().flatten()).chain(single) {
            answers[index] = Some(answer.and_then(|blob| checked_size(blob, &wanted[index])));
        }
        Ok(answers.into_iter().map(|answer| answer.expect("every wanted content is in one group")).collect())
    }

    async fn fetch_pack(&self, key: &str, parts: &[(usize, Range)]) -> Vec<(usize, Result<W::Blob>)> {
        let ranges: Vec<Range> = parts.iter().map(|(_, range)| *range).collect();
        let answer = self.world.get_ranges(key, &ranges).await.and_then(|blobs| {
            let complete = blobs.len() == ranges.len();
            if complete { Ok(blobs) } else { Err(Error::corrupt(key, "the store answered another number of ranges")) }
        });
        match answer {
            Ok(blobs) => parts.iter().zip(blobs).map(|((index, _), blob)| (*index, Ok(blob))).collect(),
            Err(error) => parts.iter().map(|(index, _)| (*index, Err(error.clone()))).collect(),
        }
    }

    async fn fetch_object(&self, index: usize, key: &str) -> (usize, Result<W::Blob>) {
        let answer = self.world.get(key, None).await.and_then(|lookup| match lookup {
            Lookup::Found { content, .. } => Ok(content),
            Lookup::NotModified => Err(Error::corrupt(key, "an unconditional read was answered \"not modified\"")),
        });
        (index, answer)
    }

    /// Content that was inlined when the caller heard of it; it may have moved to a pack since.
    async fn fetch_inlined(
        &self,
        address: Address<'_>,
        wanted: &[Wanted],
        indexes: &[usize],
    ) -> Vec<(usize, Result<W::Blob>)> {
        let head = match self.read_through(address, None).await {
            Ok(Reading::Found(found)) => match found.root {
                Root::Head(head) => head,
                Root::Meta(_) => return each(indexes, &absent(address, "its partition")),
            },
            Ok(_) => return each(indexes, &absent(address, "its partition")),
            Err(error) => return each(indexes, &error),
        };
        let mut segments = Segments::default();
        let mut answers = Vec::with_capacity(indexes.len());
        for index in indexes {
            let want = &wanted[*index];
            let place = match self.records_of(address, &mut segments, &head, &want.name, false).await {
                Ok(records) => records.get(&want.version).and_then(Record::entry).map(|entry| entry.place.clone()),
                // A collector ran between the head and its segment.
                Err(error) if error.is_segment_missing() => {
                    answers.push((*index, Err(absent(address, &want.name))));
                    continue;
                }
                Err(error) => {
                    answers.push((*index, Err(error)));
                    continue;
                }
            };
            let answer = match place {
                None => Err(absent(address, &want.name)),
                Some(Place::Inline(bytes)) => self.world.blob(&bytes).await,
                Some(Place::Object { id }) => {
                    self.fetch_object(*index, &keys::object(address.namespace, address.partition, &id)).await.1
                }
                Some(Place::Pack { id, offset, .. }) => {
                    let key = keys::pack(address.namespace, address.partition, &id);
                    let range = Range { offset, length: want.size };
                    let mut answer = self.fetch_pack(&key, &[(*index, range)]).await;
                    answer.pop().map_or_else(|| Err(absent(address, &want.name)), |(_, answer)| answer)
                }
            };
            answers.push((*index, answer));
        }
        answers
    }
}

/// Those whose content is not there.
fn absent_ones<B>(answers: &Fetched<B>) -> Vec<usize> {
    let is_absent = |index: &usize| matches!(&answers[*index], Err(error) if error.is_not_found());
    (0..answers.len()).filter(is_absent).collect()
}

fn each<B>(indexes: &[usize], error: &Error) -> Vec<(usize, Result<B>)> {
    indexes.iter().map(|index| (*index, Err(error.clone()))).collect()
}

fn absent(address: Address<'_>, what: &str) -> Error {
    let message = format!("{what} is not in partition {} any more; pull it and ask again", address.partition);
    Error::new(ErrorKind::NotFound, what, message)
}

fn checked_size<B: Blob>(blob: B, wanted: &Wanted) -> Result<B> {
    if blob.size() == wanted.size {
        return Ok(blob);
    }
    let what =
        format!("{} bytes instead of {} of {} version {}", blob.size(), wanted.size, wanted.name, wanted.version);
    Err(Error::corrupt(&wanted.location, what))
}
