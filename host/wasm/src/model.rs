//! Model extensions: methods of components behind the executor port.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use peat_core::ports::{ExtensionError, Invocation, MethodError, MethodExecutor, MethodOutcome, RunData, RunLog};
use peat_core::repository::Driver;
use tokio::sync::mpsc;

use crate::bindings::model::types;
use crate::call::Call;
use crate::capabilities::data;
use crate::capabilities::log::GuestLog;
use crate::convert::lease::millis;
use crate::convert::text::{line, message};
use crate::deadline::Patience;
use crate::exports;
use crate::grants::{Capability, ModelBinding};
use crate::host::{ExtensionSource, Host, Loaded};
use crate::inspect::InspectedKind;
use crate::preparation::reported;
use crate::state::Services;
use crate::store_refusal::{NotedData, NotedSpool, StoreRefusal};

/// Executes the methods of one model extension. Every execution has an instance of its own.
#[derive(Debug, Clone)]
pub struct ModelExecutor {
    host: Host,
    source: ExtensionSource,
    binding: ModelBinding,
}

impl ModelExecutor {
    pub(crate) fn new(host: Host, source: ExtensionSource, binding: ModelBinding) -> Self {
        Self { host, source, binding }
    }

    async fn load(&self) -> Result<Loaded, ExtensionError> {
        let ModelBinding { capabilities, files, launcher, .. } = &self.binding;
        let (host, source, kind) = (&self.host, &self.source, InspectedKind::Models);
        match launcher {
            None => host.load_here(source, kind, capabilities).await,
            Some(launcher) => host.load_elsewhere(source, kind, capabilities, launcher, files).await,
        }
    }

    fn services(&self, refusal: &StoreRefusal) -> Services {
        let binding = self.binding.clone();
        Services {
            spool: Arc::new(NotedSpool { spool: binding.spool, refusal: refusal.clone() }),
            observer: binding.observer,
            settings: binding.settings.to_string().into(),
            files: Arc::new(binding.files),
            preopen: binding.capabilities.contains(Capability::Files),
            secrets: Arc::new(binding.secrets),
            ..Services::none(self.host.options())
        }
    }

    fn invocation(&self, invocation: &Invocation) -> types::Invocation {
        let now = Duration::from_millis(self.host.options().clock.elapsed_ms());
        types::Invocation {
            run_id: invocation.run_id.to_string(),
            model_id: invocation.model_id.to_string(),
            model_name: invocation.model_name.to_string(),
            model_type: invocation.model_type.to_string(),
            method: invocation.method.to_string(),
            model_arguments: invocation.model_arguments.to_string(),
            arguments: invocation.arguments.to_string(),
            deadline_elapsed_ms: millis(now.saturating_add(invocation.deadline)),
        }
    }
}

#[async_trait]
impl MethodExecutor for ModelExecutor {
    fn driver(&self) -> Driver {
        // The name of a launcher is that of its driver.
        self.binding.launcher.as_ref().and_then(|launcher| launcher.name().parse().ok()).unwrap_or_default()
    }

    async fn execute(
        &self,
        invocation: &Invocation,
        data: &dyn RunData,
        log: &dyn RunLog,
    ) -> Result<MethodOutcome, MethodError> {
        let loaded = reported(self.source.name.as_str(), &*self.binding.observer, self.load()).await?;
        let limits = self.host.options().limits.clone();
        let refusal = StoreRefusal::default();
        let data = NotedData { data, refusal: refusal.clone() };
        let (client, server) = data::connection();
        // Bounded by the limits of the log, which counts before it sends.
        let (lines, mut written) = mpsc::unbounded_channel::<(String, String)>();
        let sink = move |source: &str, text: &str| {
            let _ = lines.send((source.to_owned(), text.to_owned()));
        };
        let call = Call {
            loaded,
            services: self.services(&refusal),
            log: GuestLog::new(&limits, Box::new(sink)),
            limits,
            data: Some(client),
            patience: Patience::Total(invocation.deadline),
        };
        let parameters = self.invocation(invocation);
        let run = call.run::<exports::Run, _>(move |_| Ok((parameters,)), |_, (answer,)| Ok(answer));
        let logging = async {
            while let Some((source, text)) = written.recv().await {
                log.line(&source, &text);
            }
        };
        // All three end with the call: its store owns the other ends of both channels.
        let (answer, (), ()) = tokio::join!(run, server.serve(&data), logging);
        match answer.map_err(|error| refusal.behind(error.into()))? {
            Ok(outcome) => Ok(MethodOutcome { summary: line(&outcome.summary) }),
            Err(failure) => Err(refusal
                .behind(MethodError::Failed { message: message(&failure.message), transient: failure.transient })),
        }
    }
}
