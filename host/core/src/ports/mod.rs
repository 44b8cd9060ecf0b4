//! What the host needs of the world, one trait a concern. Implementations: `peat-store` (local store, object stores,
//! system clock), `peat-wasm` (datastore and model extensions), in-memory and failing ones in `tests/support`.
//!
//! Ports never call back into the core, and no port knows another.

mod clock;
mod datastore;
mod extension;
mod health;
mod local_store;
mod locks;
mod maintenance;
mod methods;
mod objects;
mod observer;

pub use clock::{Clock, Random};
pub use datastore::{
    AcquireRequest, ContentRequest, Datastore, DatastoreError, DatastoreFeatures, DeltaMode, ErrorKind, Finding,
    PartitionDelta, PullDepth, PullPage, PullRequest, PulledEntry, PushReceipt, PushRequest, StoreProfile, Verdict,
};
pub use extension::ExtensionError;
pub use health::{
    CheckPage, CheckRequest, Damage, DamagedPart, DamagedVersion, INDEX_CONTENT_BYTES_MAX, REPAIR_CONTENTS_MAX,
    REPAIR_INDEX_CONTENTS_MAX, REPAIR_INDEX_MAX, RepairRequest, Repaired,
};
pub use local_store::{
    EntryFilter, LocalStore, Missing, MissingFilter, MissingPosition, PendingCommit, Replica, Spool, SpoolWriter,
    StoreError, StoredEntry, StoredState,
};
pub use locks::{
    HoldTurn, HolderIdentity, LocalHolder, LocalLockError, LocalLockGuard, LocalLocks, LocalQueue, SharedHold,
    SharedLock,
};
pub use maintenance::{COLLECT_PARTITIONS_MAX, CollectRequest, Collected, Room, RoomPage};
pub use methods::{Invocation, MethodError, MethodExecutor, MethodOutcome, RunData, RunDataError, RunLog};
pub use objects::{Condition, Found, Listing, Lookup, ObjectError, ObjectInfo, ObjectStore, Range};
pub use observer::{Movement, Objects, Observer, Progress, ProgressUnit, Silent};
