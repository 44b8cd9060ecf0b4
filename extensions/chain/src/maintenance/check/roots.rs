//! What lies above the heads, and heads that are not there.

use std::collections::BTreeSet;

use super::{CheckPage, CheckRequest, Damage, Part};
use crate::chain::{Chain, Reading};
use crate::error::{Error, Result};
use crate::keys;
use crate::ports::World;
use crate::refusal::{check_readable, namespace_absent};
use crate::root::{Address, Root};

impl<W: World> Chain<W> {
    /// The store's record and the namespace root. A namespace that was moved or deleted is an error, as for any reader.
    pub(super) async fn check_roots(&self, namespace: &str, has_heads: bool, page: &mut CheckPage) -> Result<()> {
        let address = Address::new(namespace, keys::STRUCTURAL);
        let absent = |key: &str| Error::corrupt(key, "it does not exist");
        let record = match self.store_record().await {
            Ok(Some(_)) => Ok(()),
            Ok(None) => Err(absent(keys::STORE_RECORD)),
            Err(error) => Err(error),
        };
        let meta = match self.read_root(address, None).await {
            Ok(Reading::Found(found)) => match &found.root {
                Root::Meta(meta) => check_readable(meta),
                Root::Head(_) => Err(namespace_absent(namespace)),
            },
            Ok(_) if !has_heads => Err(namespace_absent(namespace)),
            Ok(_) => Err(absent(&address.key())),
            Err(error) => Err(error),
        };
        for (key, checked) in [(keys::STORE_RECORD.to_owned(), record), (address.key(), meta)] {
            match checked {
                Err(error) if error.kind == crate::ErrorKind::Corrupt => page.add(Damage {
                    partition: None,
                    part: Part::Root,
                    key,
                    what: error.damage().to_owned(),
                    versions: Vec::new(),
                    versions_total: 0,
                }),
                checked => checked?,
            }
        }
        Ok(())
    }

    /// Partitions that have objects, or of which the caller knows, and no head: heads are never deleted.
    pub(super) async fn check_absent(
        &self,
        request: &CheckRequest,
        heads: &BTreeSet<String>,
        page: &mut CheckPage,
    ) -> Result<()> {
        let namespace = &request.namespace;
        let mut named: BTreeSet<String> = request.expected.iter().cloned().collect();
        for kind in keys::CONTENT_KINDS {
            let prefix = format!("{namespace}/{kind}/");
            let mut cursor = None;
            loop {
                let listing = self.world.list(&prefix, cursor.as_deref()).await?;
                let names = listing.objects.iter().filter_map(|object| {
                    let (name, _) = object.key.strip_prefix(&prefix)?.split_once('/')?;
                    (keys::is_partition(name) && !heads.contains(name)).then(|| name.to_owned())
                });
                named.extend(names);
                cursor = listing.cursor;
                if cursor.is_none() {
                    break;
                }
            }
        }
        for partition in named.difference(heads) {
            self.check_partition(Address::new(namespace, partition), false, None, u64::MAX, page).await?;
        }
        Ok(())
    }
}
