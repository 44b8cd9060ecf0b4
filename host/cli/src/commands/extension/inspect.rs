//! `peat extension inspect`.

use std::path::Path;

use peat_core::digest::Digest;
use peat_core::identifiers::ExtensionName;
use peat_core::metadata::{Kind, Metadata};
use peat_core::repository::ExtensionGrants;
use serde_json::{Value, json};

use super::kind_word;
use crate::composition::{COMPONENT_BYTES_MAX, Components, Context, Extensions, read_bounded};
use crate::failure::Failure;
use crate::rendering::{Answer, Cell, Page, Table, Tone, short_size};

/// Shows what an extension of the repository, or a file, says of itself. Compiles nothing.
pub(super) fn inspect(context: &Context, extension: &str) -> Result<Answer, Failure> {
    match ExtensionName::parse(extension) {
        Ok(name) => installed(context, &name),
        Err(_) => file(context, Path::new(extension)),
    }
}

fn installed(context: &Context, name: &ExtensionName) -> Result<Answer, Failure> {
    let repository = context.repository()?;
    let installed = Extensions::open(&repository, &context.home()?).get(name)?;
    let subject = Subject { digest: installed.locked.digest, size: installed.locked.size, path: &installed.path };
    let grants = repository.grants(name);
    let mut json = subject.json(&installed.metadata);
    json["installed"] = json!(true);
    json["grants"] = json!(grants);
    let page = subject.page(&installed.metadata, Some(&grants));
    Ok(Answer::new(json!({ "extension": json }), page))
}

fn file(context: &Context, path: &Path) -> Result<Answer, Failure> {
    let bytes = read_bounded(path, COMPONENT_BYTES_MAX)?;
    let metadata = Components::new(&context.home()?).metadata(&path.display().to_string(), &bytes)?;
    let subject = Subject { digest: Digest::of(&bytes), size: bytes.len() as u64, path };
    let mut json = subject.json(&metadata);
    json["installed"] = json!(false);
    Ok(Answer::new(json!({ "extension": json }), subject.page(&metadata, None)))
}

struct Subject<'a> {
    digest: Digest,
    size: u64,
    path: &'a Path,
}

impl Subject<'_> {
    fn json(&self, metadata: &Metadata) -> Value {
        json!({
            "name": metadata.name,
            "version": metadata.version,
            "summary": metadata.summary,
            "kind": kind_word(metadata),
            "types": metadata.model_types(),
            "datastore": match &metadata.kind {
                Kind::Datastore(datastore) => json!(datastore),
                Kind::Models(_) => Value::Null,
            },
            "wants": metadata.wants,
            "sha256": self.digest,
            "size": self.size,
            "file": self.path,
        })
    }

    fn page(&self, metadata: &Metadata, grants: Option<&ExtensionGrants>) -> Page {
        let mut page = Page::default();
        let mut fields = Table::fields();
        fields.field("extension", metadata.name.as_str());
        fields.field("version", &metadata.version);
        fields.field("summary", &metadata.summary);
        fields.field("sha256", self.digest.to_string());
        fields.field("size", short_size(self.size));
        fields.field("file", self.path.display().to_string());
        page.table(fields);
        provided_on(&mut page, metadata);
        if !metadata.wants.is_empty() {
            page.heading("Wants");
            let mut table = Table::new(&["CAPABILITY", "REASON"]);
            for want in &metadata.wants {
                table.row(vec![Cell::toned(&want.capability, Tone::Attention), Cell::plain(&want.reason)]);
            }
            page.table(table);
        }
        if let Some(grants) = grants.filter(|grants| **grants != ExtensionGrants::default()) {
            page.heading("Grants");
            let mut table = Table::new(&["CAPABILITY", "NAME", "VALUE"]);
            for (capability, granted) in [("files", &grants.files), ("secrets", &grants.secrets)] {
                for (name, value) in granted {
                    table.row(vec![Cell::plain(capability), Cell::plain(name.as_str()), Cell::plain(value)]);
                }
            }
            page.table(table);
        }
        page
    }
}

fn provided_on(page: &mut Page, metadata: &Metadata) {
    match &metadata.kind {
        Kind::Models(types) => {
            page.heading("Model types");
            let mut table = Table::new(&["TYPE", "METHOD", "SUMMARY"]);
            for known in types {
                for method in &known.methods {
                    table.row(vec![
                        Cell::toned(known.name.as_str(), Tone::Strong),
                        Cell::plain(method.name.as_str()),
                        Cell::plain(&method.summary),
                    ]);
                }
            }
            page.table(table);
        }
        Kind::Datastore(datastore) => {
            page.heading("Datastore");
            let mut fields = Table::fields();
            fields.field("features", datastore.features.join(", "));
            if let Some(settings) = datastore.settings.get("properties").and_then(Value::as_object) {
                fields.field("settings", settings.keys().map(String::as_str).collect::<Vec<_>>().join(", "));
            }
            page.table(fields);
        }
    }
}
