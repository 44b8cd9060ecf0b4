//! Which function of the host a guest calls.

use super::codec::choice;

/// An imported function that the host serves. What a runner can answer by itself (time, randomness, WASI) is not here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Import {
    LogWrite,
    LogLine,
    ProgressReport,
    ConfigSettings,
    SecretsGet,
    BlobOfBytes,
    BlobSize,
    BlobSlice,
    BlobRead,
    BlobDigest,
    BlobDrop,
    WriterNew,
    WriterWrite,
    WriterFinish,
    WriterDrop,
    DataWrite,
    DataRead,
    DataList,
    FilesNames,
    FilesOpen,
    FolderRead,
    FolderList,
    FolderDrop,
    BucketOpen,
    DirectoryOpen,
    StoreDescription,
    StoreGet,
    StoreGetRanges,
    StorePut,
    StorePutConcatenated,
    StoreCopy,
    StoreList,
    StoreDelete,
    StoreDrop,
    ReplicaKnown,
    ReplicaCached,
    ReplicaCache,
    HoldersCurrent,
    HoldersIsDead,
}

choice! {
    Import {
        0 => LogWrite, 1 => LogLine, 2 => ProgressReport, 3 => ConfigSettings, 4 => SecretsGet,
        10 => BlobOfBytes, 11 => BlobSize, 12 => BlobSlice, 13 => BlobRead, 14 => BlobDigest, 15 => BlobDrop,
        20 => WriterNew, 21 => WriterWrite, 22 => WriterFinish, 23 => WriterDrop,
        30 => DataWrite, 31 => DataRead, 32 => DataList,
        40 => FilesNames, 41 => FilesOpen, 42 => FolderRead, 43 => FolderList, 44 => FolderDrop,
        50 => BucketOpen, 51 => DirectoryOpen, 52 => StoreDescription, 53 => StoreGet, 54 => StoreGetRanges,
        55 => StorePut, 56 => StorePutConcatenated, 57 => StoreCopy, 58 => StoreList, 59 => StoreDelete, 60 => StoreDrop,
        70 => ReplicaKnown, 71 => ReplicaCached, 72 => ReplicaCache, 73 => HoldersCurrent, 74 => HoldersIsDead,
    }
}
