//! A model that is sound but for one thing it wants.

use crate::dummy::{component, with_metadata};
use crate::metadata::MODEL_METADATA;

/// A model that imports the interface `name`, such as `wasi:sockets/tcp@0.2.6` or `peat:host/secrets@0.1.0`. A foreign
/// interface has one function, `touch`. The name must have a version; one in `peat:host` must exist.
pub fn model_importing(name: &str) -> Vec<u8> {
    let (package, rest) = name.split_once('/').expect("an interface has a package");
    let (interface, version) = rest.split_once('@').expect("an interface has a version");
    let mut source = format!("package test:guest; world guest {{ import {name}; export peat:model/methods@0.1.0; }}");
    if package != "peat:host" {
        source += &format!("package {package}@{version} {{ interface {interface} {{ touch: func() -> u32; }} }}");
    }
    with_metadata(component(&["host", "model"], &source, "guest", Some(name)), MODEL_METADATA.as_bytes())
}
