//! `peat cache compile`.

use peat_core::identifiers::ExtensionName;
use peat_core::ports::{Observer as _, Progress, ProgressUnit};
use serde_json::json;

use crate::arguments::CacheCompile;
use crate::composition::{Components, Context, Extensions, Optimising, become_background, run_interruptible};
use crate::failure::Failure;
use crate::rendering::{Answer, Page, ProgressDisplay, Tone};

/// Makes the optimised code of extensions that is not there yet.
pub(super) fn compile(context: &Context, arguments: &CacheCompile) -> Result<Answer, Failure> {
    if arguments.in_background {
        become_background();
    }
    let home = context.home()?;
    let repository = context.repository()?;
    let mut extensions = Extensions::open(&repository, &home);
    let named = arguments.extensions.iter();
    let installed = if arguments.extensions.is_empty() {
        extensions.all().into_iter().map(|(_, installed)| installed).collect::<Result<Vec<_>, _>>()?
    } else {
        named.map(|name| extensions.get(name)).collect::<Result<Vec<_>, _>>()?
    };
    let background = if arguments.in_background { Some(Optimising::take(&home)?) } else { None };
    if matches!(background, Some(None)) {
        return Ok(Answer::new(json!({ "compiled": [] }), Page::default()));
    }
    let components = Components::new(&home);
    let progress = ProgressDisplay::start(context.screen, context.recorder.holds());
    let compiled: Vec<(ExtensionName, bool)> = run_interruptible(async {
        let mut compiled = Vec::new();
        for extension in &installed {
            let name = extension.locked.name.clone();
            progress.progress(Progress {
                message: format!("compiling {name}"),
                done: compiled.len() as u64,
                total: Some(installed.len() as u64),
                unit: ProgressUnit::Items,
                objects: None,
            });
            let was_made = Box::pin(components.optimise(extension)).await?;
            compiled.push((name, was_made));
        }
        Ok(compiled)
    })?;
    drop(progress);
    let mut page = Page::default();
    for (name, was_made) in &compiled {
        page.text_line(format!("{name}: {}", if *was_made { "compiled" } else { "was compiled before" }), Tone::Good);
    }
    if compiled.is_empty() {
        page.line("peat.lock has no extension");
    }
    let json = compiled.iter().map(|(name, was_made)| json!({ "extension": name, "made": was_made }));
    Ok(Answer::new(json!({ "compiled": json.collect::<Vec<_>>() }), page))
}
