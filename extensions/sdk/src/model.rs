//! A model extension: its runs, how a run reaches the method, and [`export_model!`](crate::export_model).

use std::fmt;

use serde::de::DeserializeOwned;

pub use crate::bindings::model::exports::peat::model::methods::{Failure, Invocation, Outcome};

use crate::Error;

/// One method run.
#[derive(Clone)]
pub struct Run {
    invocation: Invocation,
}

impl Run {
    /// The run of this invocation. Used by the export macro.
    pub fn new(invocation: Invocation) -> Self {
        Self { invocation }
    }

    /// Identity of this run.
    pub fn id(&self) -> &str {
        &self.invocation.run_id
    }

    /// Identity of the model.
    pub fn model_id(&self) -> &str {
        &self.invocation.model_id
    }

    /// Name of the model in its repository.
    pub fn model_name(&self) -> &str {
        &self.invocation.model_name
    }

    /// Type of the model.
    pub fn model_type(&self) -> &str {
        &self.invocation.model_type
    }

    /// The method that runs.
    pub fn method(&self) -> &str {
        &self.invocation.method
    }

    /// When the host ends the call, by [`clock::elapsed_ms`](crate::clock::elapsed_ms).
    pub fn deadline_elapsed_ms(&self) -> u64 {
        self.invocation.deadline_elapsed_ms
    }

    /// The arguments of the model's definition.
    pub fn model_arguments<T: DeserializeOwned>(&self) -> Result<T, Error> {
        parse("model arguments", &self.invocation.model_arguments)
    }

    /// The arguments of this run.
    pub fn arguments<T: DeserializeOwned>(&self) -> Result<T, Error> {
        parse("arguments", &self.invocation.arguments)
    }
}

impl fmt::Debug for Run {
    /// Without the arguments, which may be confidential.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Run({} {} {})", self.id(), self.model_type(), self.method())
    }
}

fn parse<T: DeserializeOwned>(subject: &str, text: &str) -> Result<T, Error> {
    serde_json::from_str(text).map_err(|error| Error::invalid_input(subject, error.to_string()))
}

impl Failure {
    /// A failure that would repeat itself; `message` says what failed and what to do about it.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), transient: false }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self { message: error.text(), transient: error.is_transient() }
    }
}

impl From<serde_json::Error> for Failure {
    fn from(error: serde_json::Error) -> Self {
        Self::new(error.to_string())
    }
}

impl From<String> for Failure {
    fn from(message: String) -> Self {
        Self::new(message)
    }
}

impl From<&str> for Failure {
    fn from(message: &str) -> Self {
        Self::new(message)
    }
}

/// Reads the arguments and runs `method`. Used by the export macro.
pub async fn call<Arguments, Summary, Problem>(
    run: Run,
    method: impl AsyncFnOnce(Run, Arguments) -> Result<Summary, Problem>,
) -> Result<Outcome, Failure>
where
    Arguments: DeserializeOwned,
    Summary: Into<String>,
    Problem: Into<Failure>,
{
    let arguments = run.arguments::<Arguments>()?;
    match method(run, arguments).await {
        Ok(summary) => Ok(Outcome { summary: summary.into() }),
        Err(problem) => Err(problem.into()),
    }
}

/// What a run of an unknown method fails with: metadata and code disagree. Used by the export macro.
pub fn unknown(run: &Run) -> Failure {
    Failure::new(format!("{} has no method {:?}", run.model_type(), run.method()))
}

/// Exports async functions as the methods of model types, and writes the metadata section.
///
/// A method is an `async fn(Run, Arguments) -> Result<Summary, Problem>`: `Arguments` is any `Deserialize` type,
/// `Summary` becomes the one line that ends a good run, `Problem` is [`Error`](crate::Error), [`Failure`] or a string.
/// Schemas are written as JSON in place; leave `arguments` out where there are none. The version is that of the crate.
///
/// ```
/// use peat_sdk::prelude::*;
///
/// #[derive(Deserialize)]
/// struct Greeting { name: String }
///
/// async fn greet(_: Run, arguments: Greeting) -> Result<String, Error> {
///     data::write_text("greeting", &format!("Hello {}", arguments.name)).await?;
///     Ok(format!("greeted {}", arguments.name))
/// }
///
/// export_model! {
///     name: "@acme/greeter",
///     summary: "Greets",
///     types: {
///         "@acme/greeter": {
///             summary: "Somebody who greets",
///             methods: {
///                 "greet" => greet {
///                     summary: "Writes a greeting",
///                     arguments: {
///                         "type": "object",
///                         "properties": { "name": { "type": "string" } },
///                         "required": ["name"],
///                         "additionalProperties": false
///                     },
///                     writes: { "greeting": "the greeting" { lifetime: "30d", versions: 100 } },
///                 },
///             },
///         },
///     },
/// }
/// # fn main() {}
/// ```
#[macro_export]
macro_rules! export_model {
    (
        name: $name:literal,
        summary: $summary:literal,
        $(wants: { $($capability:literal : $reason:literal),* $(,)? },)?
        types: { $(
            $type:literal : {
                summary: $type_summary:literal,
                $(driver: $driver:literal,)?
                $(arguments: $type_arguments:tt,)?
                methods: { $(
                    $method:literal => $function:path {
                        summary: $method_summary:literal
                        $(, arguments: $arguments:tt)?
                        $(, writes: { $(
                            $item:literal : $item_summary:literal $({ $($kept:ident : $value:literal),* $(,)? })?
                        ),* $(,)? })?
                        $(,)?
                    }
                ),* $(,)? } $(,)?
            }
        ),* $(,)? } $(,)?
    ) => {
        $crate::__metadata_section! {
            Json("{\"format\":1,\"name\":"), Text($name),
            Json(",\"version\":"), Text(::core::env!("CARGO_PKG_VERSION")),
            Json(",\"summary\":"), Text($summary),
            $(Json(",\"wants\":["), $(
                Comma, Json("{\"capability\":"), Text($capability), Json(",\"reason\":"), Text($reason), Json("}"),
            )* Json("]"),)?
            Json(",\"models\":["), $(
                Comma, Json("{\"name\":"), Text($type), Json(",\"summary\":"), Text($type_summary),
                $(Json(",\"driver\":"), Text($driver),)?
                $(Json(",\"arguments\":"), Json(::core::stringify!($type_arguments)),)?
                Json(",\"methods\":["), $(
                    Comma, Json("{\"name\":"), Text($method), Json(",\"summary\":"), Text($method_summary),
                    $(Json(",\"arguments\":"), Json(::core::stringify!($arguments)),)?
                    $(Json(",\"writes\":["), $(
                        Comma, Json("{\"name\":"), Text($item), Json(",\"summary\":"), Text($item_summary),
                        $($(
                            Json(",\""), Json(::core::stringify!($kept)), Json("\":"), Json(::core::stringify!($value)),
                        )*)?
                        Json("}"),
                    )* Json("]"),)?
                    Json("}"),
                )* Json("]}"),
            )* Json("]}"),
        }

        #[doc(hidden)]
        struct __PeatModel;

        impl $crate::bindings::model::exports::peat::model::methods::Guest for __PeatModel {
            async fn run(
                invocation: $crate::model::Invocation,
            ) -> ::core::result::Result<$crate::model::Outcome, $crate::model::Failure> {
                let run = $crate::Run::new(invocation);
                let (model_type, method) = (run.model_type().to_owned(), run.method().to_owned());
                match (model_type.as_str(), method.as_str()) {
                    $($(($type, $method) => $crate::model::call(run, $function).await,)*)*
                    _ => ::core::result::Result::Err($crate::model::unknown(&run)),
                }
            }
        }

        // The names of exports are no names for a native linker: there the methods are only kept from looking unused.
        #[cfg(not(target_arch = "wasm32"))]
        const _: fn($crate::model::Invocation) = |invocation| {
            ::core::mem::drop(
                <__PeatModel as $crate::bindings::model::exports::peat::model::methods::Guest>::run(invocation),
            )
        };
        #[cfg(target_arch = "wasm32")]
        $crate::bindings::model::export_model_bindings!(__PeatModel with_types_in $crate::bindings::model);
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(arguments: &str) -> Run {
        Run::new(Invocation {
            run_id: "run-0001".into(),
            model_id: "model-01".into(),
            model_name: "web".into(),
            model_type: "@acme/greeter".into(),
            method: "greet".into(),
            model_arguments: "{}".into(),
            arguments: arguments.into(),
            deadline_elapsed_ms: 0,
        })
    }

    #[derive(serde::Deserialize)]
    struct Greeting {
        name: String,
    }

    async fn greet(_: Run, greeting: Greeting) -> Result<String, Failure> {
        if greeting.name.is_empty() { Err("name is empty".into()) } else { Ok(format!("greeted {}", greeting.name)) }
    }

    fn call_now(arguments: &str) -> Result<Outcome, Failure> {
        let mut future = std::pin::pin!(call(run(arguments), greet));
        match future.as_mut().poll(&mut std::task::Context::from_waker(std::task::Waker::noop())) {
            std::task::Poll::Ready(result) => result,
            std::task::Poll::Pending => panic!("nothing here waits"),
        }
    }

    #[test]
    fn arguments_reach_the_method_as_their_type() {
        assert_eq!(call_now(r#"{"name":"Ada"}"#).unwrap().summary, "greeted Ada");
    }

    #[test]
    fn a_method_fails_with_its_own_words() {
        assert_eq!(call_now(r#"{"name":""}"#).unwrap_err().message, "name is empty");
    }

    #[test]
    fn arguments_of_another_shape_fail_before_the_method_runs() {
        let failure = call_now(r#"{"nome":"Ada"}"#).unwrap_err();
        assert!(failure.message.contains("arguments") && failure.message.contains("name"), "{}", failure.message);
        assert!(!failure.transient);
    }

    #[test]
    fn an_unavailable_host_is_a_transient_failure() {
        assert!(Failure::from(Error::unavailable("store", "no answer")).transient);
    }

    #[test]
    fn an_unknown_method_is_named() {
        assert!(unknown(&run("{}")).message.contains("greet"));
    }
}
