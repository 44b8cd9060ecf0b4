//! Datastore extensions behind the datastore port, bound to one namespace.
//!
//! What the extension says it can do is believed only as far as it exports it, and an extension that cannot even say is
//! used with its two required interfaces alone. Content is checked against its digest here, always.

mod calls;
mod content_check;
mod features;
mod lock_calls;
mod maintenance_calls;
mod namespace_calls;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use peat_core::content::SharedContent;
use peat_core::identifiers::{NamespaceName, PartitionName};
use peat_core::lease::{Lease, LeasePage};
use peat_core::namespace::{Namespace, NamespacePage, NamespaceStep};
use peat_core::ports::{
    AcquireRequest, CheckPage, CheckRequest, CollectRequest, Collected, ContentRequest, Datastore, DatastoreError,
    DatastoreFeatures, ErrorKind, ExtensionError, ObjectStore, PullPage, PullRequest, PushReceipt, PushRequest,
    RepairRequest, Repaired, RoomPage, StoreProfile,
};

use self::content_check::checked;
pub(crate) use self::features::exported;
use crate::bindings::datastore::exports::peat::datastore::capabilities::{Description, Features};
use crate::call::Call;
use crate::capabilities::log::GuestLog;
use crate::convert::text::line;
use crate::deadline::Patience;
use crate::grants::DatastoreBinding;
use crate::host::{ExtensionSource, Host, Loaded, Place};
use crate::inspect::InspectedKind;
use crate::limits::Limits;
use crate::preparation::reported;
use crate::state::Services;

/// A datastore that an extension provides. Every call has an instance of its own, so calls may overlap.
#[derive(Clone)]
pub struct ComponentDatastore {
    loaded: Loaded,
    services: Services,
    limits: Limits,
    namespace: String,
    features: DatastoreFeatures,
    summary: String,
}

impl std::fmt::Debug for ComponentDatastore {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("ComponentDatastore")
            .field("extension", &self.loaded.extension)
            .field("namespace", &self.namespace)
            .field("features", &self.features)
            .finish_non_exhaustive()
    }
}

impl ComponentDatastore {
    pub(crate) async fn open(
        host: Host,
        source: ExtensionSource,
        binding: DatastoreBinding,
    ) -> Result<Self, ExtensionError> {
        let (kind, capabilities) = (InspectedKind::Datastore, &binding.capabilities);
        let loading = async {
            match &binding.launcher {
                None => host.load_here(&source, kind, capabilities).await,
                Some(launcher) => host.load_elsewhere(&source, kind, capabilities, launcher, &BTreeMap::new()).await,
            }
        };
        let loaded = reported(source.name.as_str(), &*binding.observer, loading).await?;
        let services = Services {
            spool: binding.spool,
            observer: binding.observer,
            settings: binding.settings.to_string().into(),
            secrets: Arc::new(binding.secrets),
            directory: binding.directory,
            bucket: binding.bucket,
            replica: Some(binding.replica),
            identity: Some(binding.identity),
            movement: binding.movement,
            ..Services::none(host.options())
        };
        let mut datastore = Self {
            summary: format!("{} (it could not say what it is)", loaded.extension),
            features: DatastoreFeatures::default(),
            limits: host.options().limits.clone(),
            namespace: binding.namespace.to_string(),
            loaded,
            services,
        };
        datastore.probe().await;
        Ok(datastore)
    }

    /// The same datastore in the same bucket, reached by another way. Asks nothing.
    #[must_use]
    pub fn through(&self, bucket: Arc<dyn ObjectStore>) -> Self {
        let services = Services { bucket: Some(bucket), ..self.services.clone() };
        Self { services, ..self.clone() }
    }

    /// Asks what it can do. An answer that is no answer costs the optional features, not the datastore.
    async fn probe(&mut self) {
        match self.describe_and_exports().await {
            Ok((description, exported)) => {
                let usable = features::usable(description.features, exported);
                if let Some(lie) = usable.promised_in_vain {
                    self.warn(&format!("it promises {lie} and does not export it; peat does without"));
                }
                self.features = usable.features;
                self.summary = line(&description.summary);
            }
            Err(error) => self.warn(&format!("its optional features are not used: {error}")),
        }
    }

    async fn describe_and_exports(&self) -> Result<(Description, Features), DatastoreError> {
        let exported = match &self.loaded.place {
            Place::Here(component, _) => exported(component.component()),
            Place::Runner(runner) => runner.exported().await?,
        };
        Ok((self.describe().await?, exported))
    }

    fn warn(&self, message: &str) {
        self.services.observer.warn(&format!("datastore {}: {message}", self.loaded.extension));
    }

    fn call(&self, patience: Patience) -> Call {
        let extension = Arc::clone(&self.loaded.extension);
        let observer = Arc::clone(&self.services.observer);
        let sink = move |level: &str, text: &str| match level {
            "warn" | "error" => observer.warn(&format!("{extension}: {text}")),
            _ => tracing::debug!(target: "peat::guest", extension = &*extension, level, text),
        };
        Call {
            loaded: self.loaded.clone(),
            services: self.services.clone(),
            limits: self.limits.clone(),
            log: GuestLog::new(&self.limits, Box::new(sink)),
            data: None,
            patience,
        }
    }

    fn without(&self, feature: &str) -> DatastoreError {
        DatastoreError::Refused {
            kind: ErrorKind::Unsupported,
            subject: self.loaded.extension.to_string(),
            message: format!("the datastore {} has no {feature}", self.loaded.extension),
        }
    }
}

#[async_trait]
impl Datastore for ComponentDatastore {
    fn name(&self) -> String {
        self.loaded.extension.to_string()
    }

    fn summary(&self) -> String {
        self.summary.clone()
    }

    fn features(&self) -> DatastoreFeatures {
        self.features
    }

    async fn setup(&self) -> Result<StoreProfile, DatastoreError> {
        self.call_setup().await
    }

    async fn verify(&self) -> Result<StoreProfile, DatastoreError> {
        self.call_verify().await
    }

    async fn acquire(&self, request: &AcquireRequest) -> Result<Vec<Lease>, DatastoreError> {
        if !self.features.locks {
            return Err(self.without("locks"));
        }
        self.call_acquire(request).await
    }

    async fn renew(&self, lease: &Lease) -> Result<Lease, DatastoreError> {
        if !self.features.locks {
            return Err(self.without("locks"));
        }
        self.call_renew(lease).await
    }

    async fn release(&self, lease: &Lease) -> Result<(), DatastoreError> {
        if !self.features.locks {
            return Err(self.without("locks"));
        }
        self.call_release(lease).await
    }

    async fn acquire_structural(&self, ttl: Duration, wait: Duration) -> Result<Lease, DatastoreError> {
        if !self.features.locks {
            return Err(self.without("locks"));
        }
        self.call_acquire_structural(ttl, wait).await
    }

    async fn inspect_leases(&self, cursor: Option<&str>) -> Result<LeasePage, DatastoreError> {
        if !self.features.locks {
            return Err(self.without("locks"));
        }
        self.call_inspect(cursor).await
    }

    async fn break_lease(&self, partition: &PartitionName, nonce: &str) -> Result<(), DatastoreError> {
        if !self.features.locks {
            return Err(self.without("locks"));
        }
        self.call_break_lease(partition, nonce).await
    }

    async fn measure(&self, cursor: Option<&str>) -> Result<RoomPage, DatastoreError> {
        if !self.features.maintenance {
            return Err(self.without("maintenance"));
        }
        self.call_measure(cursor).await
    }

    async fn collect(&self, request: &CollectRequest) -> Result<Vec<Collected>, DatastoreError> {
        if !self.features.maintenance {
            return Err(self.without("maintenance"));
        }
        self.call_collect(request).await
    }

    async fn check(&self, request: &CheckRequest) -> Result<CheckPage, DatastoreError> {
        if !self.features.maintenance {
            return Err(self.without("check"));
        }
        self.call_check(request).await
    }

    async fn repair(&self, request: &RepairRequest) -> Result<Repaired, DatastoreError> {
        if !self.features.maintenance {
            return Err(self.without("repair"));
        }
        self.call_repair(request).await
    }

    async fn list_namespaces(&self, cursor: Option<&str>) -> Result<NamespacePage, DatastoreError> {
        if !self.features.namespaces {
            return Err(self.without("namespaces"));
        }
        self.call_list_namespaces(cursor).await
    }

    async fn create_namespace(
        &self,
        name: &NamespaceName,
        parent: Option<&NamespaceName>,
        expires_at_ms: Option<u64>,
    ) -> Result<Namespace, DatastoreError> {
        if !self.features.namespaces {
            return Err(self.without("namespaces"));
        }
        self.call_create_namespace(name, parent, expires_at_ms).await
    }

    async fn migrate_namespace(
        &self,
        source: &NamespaceName,
        target: &NamespaceName,
        state: Option<String>,
    ) -> Result<NamespaceStep, DatastoreError> {
        if !self.features.namespaces {
            return Err(self.without("namespaces"));
        }
        self.call_migrate_namespace(source, target, state).await
    }

    async fn fold_namespace(
        &self,
        name: &NamespaceName,
        state: Option<String>,
    ) -> Result<NamespaceStep, DatastoreError> {
        if !self.features.namespaces {
            return Err(self.without("namespaces"));
        }
        self.call_fold_namespace(name, state).await
    }

    async fn delete_namespace(
        &self,
        name: &NamespaceName,
        in_use: bool,
        state: Option<String>,
    ) -> Result<NamespaceStep, DatastoreError> {
        if !self.features.namespaces {
            return Err(self.without("namespaces"));
        }
        self.call_delete_namespace(name, in_use, state).await
    }

    async fn pull(&self, request: &PullRequest) -> Result<PullPage, DatastoreError> {
        let page = self.call_pull(request).await?;
        for delta in &page.deltas {
            for pulled in &delta.entries {
                if let Some(content) = &pulled.content {
                    let description = &pulled.entry.description;
                    let subject = format!("{}/{} version {}", delta.partition, description.name, pulled.entry.version);
                    checked(content, description.size, &description.digest, &subject, &self.loaded.extension).await?;
                }
            }
        }
        Ok(page)
    }

    async fn push(&self, request: &PushRequest) -> Result<PushReceipt, DatastoreError> {
        self.call_push(request).await
    }

    async fn fetch(
        &self,
        wanted: &[ContentRequest],
    ) -> Result<Vec<Result<SharedContent, DatastoreError>>, DatastoreError> {
        if !self.features.hydration {
            return Err(self.without("hydration"));
        }
        let mut contents = Vec::with_capacity(wanted.len());
        for (fetched, wanted) in self.call_fetch(wanted).await?.into_iter().zip(wanted) {
            let subject = format!("{}/{} version {}", wanted.partition, wanted.name, wanted.version);
            contents.push(match fetched {
                Ok(content) => {
                    let extension = &self.loaded.extension;
                    checked(&content, wanted.size, &wanted.digest, &subject, extension).await.map(|()| content)
                }
                Err(error) => Err(error),
            });
        }
        Ok(contents)
    }
}
