//! Every limit of the format and the protocol, with its unit and its reason.

/// Format of `peat.json`, `_meta.json`, heads and segments that this build reads and writes. Any change of a format, also
/// an added field, is a new number: an old writer that drops what it does not know would lose it.
pub const FORMAT: u32 = 1;

/// Largest count, version, sequence or epoch in a record: far above what is ever reached, so that adding to numbers read from
/// a store never overflows.
pub const NUMBER_MAX: u64 = 1 << 53;

/// Largest head in bytes: read and written whole by every acquire and commit, so it must stay one cheap request.
pub const HEAD_BYTES_MAX: usize = 64 * 1024;

/// Bytes of a head above which `recent` moves into a segment. A writer whose head is outdated sends it three times (an
/// acquisition that is refused, one that is not, a commit): together less than 128 KiB. What is left below
/// [`HEAD_BYTES_MAX`] is for the lease and the next waiter, which are written without a commit.
pub const HEAD_SPILL_BYTES: usize = 40 * 1024;

/// Largest `_meta.json` or `peat.json` in bytes.
pub const META_BYTES_MAX: usize = 16 * 1024;

/// Largest lease state in bytes, as the contract promises the host.
pub const LEASE_STATE_BYTES_MAX: usize = 256 * 1024;

/// Content up to so many bytes is kept in the index itself: for it a request of its own would cost more than its bytes.
pub const INLINE_BYTES_MAX: u64 = 4 * 1024;

/// Inlined content of one commit, in bytes: more goes to a pack, so that one commit does not fill the head.
pub const COMMIT_INLINE_BYTES_MAX: u64 = 16 * 1024;

/// Entries of a commit that inlines anything: the records of a larger one leave the head at once, most of them for sorted
/// segments, which hold no content; what was inlined would be uploaded twice, and be a pack of its own.
pub const COMMIT_INLINE_ENTRIES_MAX: usize = 128;

/// Content up to so many bytes shares a pack with its neighbours; larger content is an object of its own.
pub const PACKED_BYTES_MAX: u64 = 1024 * 1024;

/// Bytes after which a pack is closed and another is begun: one upload that can be retried as a whole.
pub const PACK_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// Parts of one pack; bounds the handles of one upload.
pub const PACK_PARTS_MAX: usize = 1024;

/// Commit ids a head remembers. An unanswered commit is looked for among them; with 64 a writer may sleep through as many
/// commits of others and still find its own.
pub const COMMITS_REMEMBERED: usize = 64;

/// Entries of one commit: bounds the memory of a guest.
pub const COMMIT_ENTRIES_MAX: usize = 20_000;

/// Records of the buffer segment: beyond, it is merged into the sorted segments.
pub const BUFFER_RECORDS_MAX: usize = 1024;

/// Uncompressed bytes of the buffer segment: what a commit of a fresh process may have to read.
pub const BUFFER_BYTES_MAX: usize = 128 * 1024;

/// Records a sorted segment is made with: about 40 KiB compressed, one cheap request.
pub const SEGMENT_RECORDS_TARGET: usize = 512;

/// A sorted segment is split when it has more than so many times its target.
pub const SEGMENT_SPLIT_FACTOR: usize = 2;

/// Bytes that the references to sorted segments may take in a head; beyond, all are rewritten with a larger target.
pub const REFERENCES_BYTES_MAX: usize = 24 * 1024;

/// Uncompressed bytes of a sorted segment, above which it is split however few records it has.
pub const SEGMENT_BYTES_TARGET_MAX: usize = 4 * 1024 * 1024;

/// Compressed bytes of one segment that a reader accepts.
pub const SEGMENT_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Decompressed bytes of one segment that a reader accepts: a bound for hostile input, far above what is written.
pub const SEGMENT_INFLATED_BYTES_MAX: usize = 32 * 1024 * 1024;

/// Records of one segment that a reader accepts.
pub const SEGMENT_RECORDS_MAX: usize = 200_000;

/// Deflate level: 6 is the usual balance; higher levels gain nothing on digests.
pub const DEFLATE_LEVEL: u8 = 6;

/// Longest data name in bytes (the contract of `peat:host/data`).
pub const NAME_BYTES_MAX: usize = 200;

/// Longest media type in bytes.
pub const CONTENT_TYPE_BYTES_MAX: usize = 200;

/// Most tags of one entry.
pub const TAGS_MAX: usize = 64;

/// Longest name or value of a tag in bytes.
pub const TAG_BYTES_MAX: usize = 512;

/// Bytes of all tags of one entry: 32 tags with names and values of 256 bytes, as the contract allows.
pub const TAGS_BYTES_MAX: usize = 16 * 1024;

/// Longest run id, commit id and nonce in bytes.
pub const IDENTITY_BYTES_MAX: usize = 64;

/// Longest ETag in bytes that is carried in versions and lease states.
pub const ETAG_BYTES_MAX: usize = 1024;

/// Characters of each text of a holder (host, command, …) that a lease keeps; longer ones are cut.
pub const HOLDER_TEXT_CHARACTERS: usize = 200;

/// Shortest time to live of a lease in milliseconds: below, one slow request would lose it.
pub const LEASE_TTL_MS_MIN: u64 = 1_000;

/// Longest time to live of a lease in milliseconds: a dead holder must be given up within a working day's patience.
pub const LEASE_TTL_MS_MAX: u64 = 60 * 60 * 1000;

/// Partitions of one acquisition: their states together stay below the 16 MiB that one call may answer.
pub const ACQUIRE_PARTITIONS_MAX: usize = 200;

/// Shortest pause of a waiter in milliseconds: a store that answers at once is not asked more often.
pub const POLL_MS_MIN: u64 = 20;

/// Longest pause of a waiter in milliseconds: bounds what a handover costs in time.
pub const POLL_MS_MAX: u64 = 1_000;

/// Whoever is next in the queue asks again after so many halves of a round trip: with the question and the swap that
/// follow, a handover takes less than five round trips.
pub const POLL_HALF_ROUND_TRIPS: u64 = 3;

/// A pause of whoever waits for its turn is at least one part in so many of the time since the root last changed hands:
/// nothing for the first 15 s at 20 ms a request, and a handover is late by 0.2 % of the work before it after that. Somebody
/// who waits for ten minutes asks some 2,400 times.
pub const POLL_PARTS: u64 = 512;

/// The same for a command that waits for others' leases to end and wants none of them: one of its questions may be a
/// listing.
pub const WATCH_PARTS: u64 = 16;

/// A waiter's ticket counts so long after its last refresh, in milliseconds of the store's clock.
pub const TICKET_TTL_MS: u64 = 15_000;

/// A waiter refreshes its ticket after so many milliseconds: three refreshes within its time to live.
pub const TICKET_REFRESH_MS: u64 = 5_000;

/// A look at the queue counts for a release so long afterwards, in milliseconds: about what a waiter takes to write its
/// ticket.
pub const QUEUE_FRESH_MS: u64 = 500;

/// How long the next in the queue is waited for after a release, in milliseconds: some polls of a live waiter.
pub const NEXT_RESPECTED_MS: u64 = 5_000;

/// Tries of a request whose outcome is unknown, before the caller is told so.
pub const UNKNOWN_ATTEMPTS_MAX: u32 = 6;

/// Tries of a commit against heads that others change meanwhile.
pub const COMMIT_ATTEMPTS_MAX: u32 = 32;

/// First pause before a request is tried again, in milliseconds; doubles each time.
pub const RETRY_MS_FIRST: u64 = 50;

/// Longest pause before a request is tried again, in milliseconds.
pub const RETRY_MS_MAX: u64 = 5_000;

/// Requests in flight at once from one call: keeps a link of 20 ms and 100 Mbit/s busy with 64 KiB objects.
pub const CONCURRENCY: usize = 16;

/// Entries of one page of news.
pub const PAGE_ENTRIES_MAX: usize = 1_000;

/// Changed partitions of one page of news.
pub const PAGE_PARTITIONS_MAX: usize = 200;

/// Tags and inlined content of one page of news, in bytes: a quarter of what one call may answer.
pub const PAGE_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// Content that comes with one page of a full pull, in bytes: far below the 8 GiB of contents that one call may make, and
/// little enough to lose when a pull is interrupted.
pub const PAGE_CONTENT_BYTES_MAX: u64 = 1024 * 1024 * 1024;

/// Leases of one page of lease states, and heads examined at once for it.
pub const INSPECT_HEADS_MAX: usize = 200;

/// Heads that a structural lock marks before it looks whether it has to be renewed: some 32 round trips.
pub const MARKED_AT_ONCE: usize = 256;

/// Wanted contents of one fetch.
pub const FETCH_MAX: usize = 10_000;

/// Longest cursor of a listing that is read back, in bytes.
pub const CURSOR_BYTES_MAX: usize = 4 * 1024;

/// Partitions of one collection: they are held together for some round trips, so they must be few, and share one look at the
/// namespace root, so that it costs little.
pub const COLLECT_PARTITIONS_MAX: usize = 16;

/// Entries that leave one partition in one step of a collection: bounds what is written while it is held, and what one call
/// answers.
pub const COLLECT_ENTRIES_MAX: usize = 2_000;

/// Objects that are deleted of one partition in one step of a collection: ten requests, far less than a lease lasts.
pub const COLLECT_OBJECTS_MAX: usize = 10_000;

/// Records of a partition that is swept or compacted: all of them are in the guest's memory at once, several times over.
pub const COMPACT_RECORDS_MAX: u64 = 60_000;

/// Keys of one deletion: the most that stores take.
pub const DELETE_KEYS_MAX: usize = 1_000;

/// What one call of a check takes, in milliseconds, where it goes on beyond a partition: often enough for whoever watches.
pub const CHECK_STEP_MS: u64 = 5_000;

/// Bytes, and entries, whose content a check reads before it looks at the time again: a guest hashes so much in half a second.
pub const CHECK_BATCH_BYTES: u64 = 64 * 1024 * 1024;
pub const CHECK_BATCH_ENTRIES: usize = 1_024;

/// Damages told by one page of a check, and versions told of one damage. All are counted.
pub const DAMAGE_TOLD_MAX: usize = 1_000;
pub const DAMAGED_VERSIONS_TOLD_MAX: usize = 1_000;

/// Contents of one repair: as many as one damage tells, so that a lost pack is one call.
pub const REPAIR_CONTENTS_MAX: usize = 4_096;

/// Entries of an index that one repair is told: a partition of so many is nothing unusual, and they fit into memory.
pub const REPAIR_INDEX_MAX: usize = 100_000;

/// After a repair of an index that was lost, versions begin so far above the highest one that is known: more than others can
/// have committed to one name since this machine has last heard of it.
pub const VERSION_MARGIN: u64 = 1_000_000;

/// Participants of the races a probe runs.
pub const PROBE_RACERS: usize = 8;

/// How far an object's time may be from the store's own clock, in milliseconds: leases of dead holders are given up by
/// comparing the two.
pub const CLOCK_SKEW_MS_MAX: u64 = 5_000;

/// What one step of a move, fold or deletion may take, in milliseconds: well below the deadline of a call, and often enough
/// for whoever watches.
pub const STEP_MS_MAX: u64 = 20_000;

/// Objects that a move copies before it looks at the time again.
pub const COPY_BATCH: usize = 128;

/// Conflicts that one step of a fold tells by name.
pub const CONFLICTS_TOLD_MAX: usize = 1_000;

/// Longest state of a move, fold or deletion that is read back, in bytes.
pub const STEP_STATE_BYTES_MAX: usize = 16 * 1024;

/// The root of a deleted run scope stays so long, in milliseconds of the store's clock: far longer than any request may be on
/// its way.
pub const SCOPE_REMEMBERED_MS: u64 = 24 * 60 * 60 * 1000;
