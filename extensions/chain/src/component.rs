//! What every datastore extension on this protocol shares: the world of a component, the conversion of its records, and
//! [`datastore_on_chain!`](crate::datastore_on_chain), which writes the traits of the SDK. An extension adds how its store
//! is opened, its metadata, and nothing else.

mod convert;
mod health;
mod maintenance;
mod namespaces;
mod shared;
mod world;

pub use shared::Shared;
pub use world::{HostBlob, HostWorld};

// For the macro.
#[doc(hidden)]
pub use peat_sdk;

/// Defines a type that implements the traits of `peat_sdk::datastore` for `locks`, `hydration`, `maintenance` and `namespaces` over
/// the store that `$open`, an `async fn() -> Result<ObjectStore, Error>`, answers.
#[macro_export]
macro_rules! datastore_on_chain {
    ($(#[$doc:meta])* $type:ident, $open:path) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub struct $type($crate::component::Shared);

        const _: () = {
            use $crate::component::peat_sdk::content::Blob;
            use $crate::component::peat_sdk::datastore::{self, *};
            use $crate::component::peat_sdk::Error;

            impl Datastore for $type {
                async fn open() -> Result<Self, Error> {
                    Ok(Self($crate::component::Shared::new($open().await?)))
                }
            }

            impl Capabilities for $type {
                async fn describe(&self) -> Result<Description, Error> {
                    Ok(self.0.describe())
                }

                async fn setup(&self, namespace: String) -> Result<Profile, Error> {
                    self.0.setup(&namespace).await
                }

                async fn verify(&self, namespace: String) -> Result<Profile, Error> {
                    self.0.verify(&namespace).await
                }
            }

            impl datastore::Sync for $type {
                async fn pull(&self, request: PullRequest) -> Result<PullPage, Error> {
                    self.0.pull(request).await
                }

                async fn push(&self, request: PushRequest) -> Result<Receipt, Error> {
                    self.0.push(request).await
                }
            }

            impl Locks for $type {
                async fn acquire(&self, request: AcquireRequest) -> Result<Vec<Lease>, Error> {
                    self.0.acquire(request).await
                }

                async fn acquire_structural(
                    &self,
                    namespace: String,
                    ttl_ms: u64,
                    wait_ms: u64,
                ) -> Result<Lease, Error> {
                    self.0.acquire_structural(&namespace, ttl_ms, wait_ms).await
                }

                async fn renew(&self, namespace: String, lease: Lease) -> Result<Lease, Error> {
                    self.0.renew(&namespace, lease).await
                }

                async fn release(&self, namespace: String, lease: Lease) -> Result<(), Error> {
                    self.0.release(&namespace, lease).await
                }

                async fn inspect(&self, namespace: String, cursor: Option<String>) -> Result<StatusPage, Error> {
                    self.0.inspect(&namespace, cursor.as_deref()).await
                }

                async fn break_lease(&self, namespace: String, partition: String, nonce: String) -> Result<(), Error> {
                    self.0.break_lease(&namespace, &partition, &nonce).await
                }
            }

            impl Namespaces for $type {
                async fn list(&self, cursor: Option<String>) -> Result<NamespacePage, Error> {
                    self.0.list_namespaces(cursor.as_deref()).await
                }

                async fn create(
                    &self,
                    name: String,
                    parent: Option<String>,
                    expires_at_ms: Option<u64>,
                ) -> Result<Namespace, Error> {
                    self.0.create_namespace(&name, parent.as_deref(), expires_at_ms).await
                }

                async fn migrate(&self, source: String, target: String, state: Option<String>) -> Result<Step, Error> {
                    self.0.migrate(&source, &target, state.as_deref()).await
                }

                async fn fold(&self, name: String, state: Option<String>) -> Result<Step, Error> {
                    self.0.fold(&name, state.as_deref()).await
                }

                async fn delete(&self, name: String, in_use: bool, state: Option<String>) -> Result<Step, Error> {
                    self.0.delete_namespace(&name, in_use, state.as_deref()).await
                }
            }

            impl Hydration for $type {
                async fn fetch(
                    &self,
                    namespace: String,
                    wanted: Vec<Wanted>,
                ) -> Result<Vec<Result<Blob, Error>>, Error> {
                    self.0.fetch(&namespace, wanted).await
                }
            }

            impl Maintenance for $type {
                async fn measure(&self, namespace: String, cursor: Option<String>) -> Result<RoomPage, Error> {
                    self.0.measure(&namespace, cursor.as_deref()).await
                }

                async fn collect(&self, request: CollectRequest) -> Result<Vec<Collected>, Error> {
                    self.0.collect(request).await
                }

                async fn check(&self, request: CheckRequest) -> Result<CheckPage, Error> {
                    self.0.check(request).await
                }

                async fn repair(&self, request: RepairRequest) -> Result<Repaired, Error> {
                    self.0.repair(request).await
                }
            }
        };
    };
}
