//! How many instances a component is made of, read without compiling it.
//!
//! A component that instantiates another eight times, which does the same with a third, and so on, is a few hundred bytes
//! that mean millions of instances. The compiler lays all of them out, and would do so for hours.

use wasmparser::{
    BinaryReaderError, ComponentAlias, ComponentExternalKind, ComponentInstance, ComponentOuterAliasKind,
    ComponentTypeRef, Encoding, Parser, Payload,
};

/// Most instances of components and modules that a component is made of: one of many libraries has hundreds.
pub(crate) const INSTANCES_MAX: u64 = 10_000;

/// A component whose definition is being read.
#[derive(Debug, Default)]
struct Open {
    /// For each component that it can name, how many instances one instance of that is; none where it is only given to it.
    components: Vec<Option<u64>>,
    instances: u64,
}

/// How many instances a valid component is made of; none when it instantiates components that it is only given, whose number
/// cannot be told.
pub(crate) fn instances(component: &[u8]) -> Result<Option<u64>, BinaryReaderError> {
    let mut open: Vec<Open> = Vec::new();
    // Of a module only its end is of interest.
    let mut kinds = Vec::new();
    for payload in Parser::new(0).parse_all(component) {
        let payload = payload?;
        if let Payload::Version { encoding, .. } = &payload {
            kinds.push(*encoding);
            if *encoding == Encoding::Component {
                open.push(Open::default());
            }
            continue;
        }
        if let Payload::End(_) = payload {
            if kinds.pop() == Some(Encoding::Component)
                && let Some(closed) = open.pop()
            {
                match open.last_mut() {
                    Some(outer) => outer.components.push(Some(closed.instances.saturating_add(1))),
                    None => return Ok(Some(closed.instances)),
                }
            }
            continue;
        }
        if kinds.last() == Some(&Encoding::Component) && !read(&mut open, payload)? {
            return Ok(None);
        }
    }
    Ok(Some(0))
}

/// Takes over one section of the innermost component. False when it instantiates what it was only given.
fn read(open: &mut [Open], payload: Payload<'_>) -> Result<bool, BinaryReaderError> {
    let depth = open.len();
    let named = |open: &[Open], outwards: u32, index: u32| -> Option<u64> {
        let component = depth.checked_sub(1 + outwards as usize).and_then(|at| open.get(at))?;
        component.components.get(index as usize).copied().flatten()
    };
    let known = match payload {
        Payload::InstanceSection(section) => {
            add_instances(open, u64::from(section.count()));
            return Ok(true);
        }
        Payload::ComponentInstanceSection(section) => {
            for instance in section {
                if let ComponentInstance::Instantiate { component_index, .. } = instance? {
                    let Some(instances) = named(open, 0, component_index) else { return Ok(false) };
                    add_instances(open, instances);
                }
            }
            return Ok(true);
        }
        Payload::ComponentImportSection(section) => {
            let is_component = |ty| matches!(ty, ComponentTypeRef::Component(_));
            let imports = section.into_iter().collect::<Result<Vec<_>, _>>()?;
            imports.into_iter().filter(|import| is_component(import.ty)).map(|_| None).collect()
        }
        Payload::ComponentAliasSection(section) => {
            let mut known = Vec::new();
            for alias in section {
                match alias? {
                    ComponentAlias::Outer { kind: ComponentOuterAliasKind::Component, count, index } => {
                        known.push(named(open, count, index));
                    }
                    ComponentAlias::InstanceExport { kind: ComponentExternalKind::Component, .. } => known.push(None),
                    _ => {}
                }
            }
            known
        }
        Payload::ComponentExportSection(section) => {
            let mut known = Vec::new();
            for export in section {
                let export = export?;
                if export.kind == ComponentExternalKind::Component {
                    known.push(named(open, 0, export.index));
                }
            }
            known
        }
        _ => return Ok(true),
    };
    if let Some(innermost) = open.last_mut() {
        innermost.components.extend(known);
    }
    Ok(true)
}

fn add_instances(open: &mut [Open], more: u64) {
    if let Some(innermost) = open.last_mut() {
        innermost.instances = innermost.instances.saturating_add(more);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Option<u64> {
        instances(&wat::parse_str(text).unwrap()).unwrap()
    }

    #[test]
    fn instances_of_instances_are_counted() {
        assert_eq!(of("(component)"), Some(0));
        assert_eq!(of("(component (core module $m) (core instance (instantiate $m)))"), Some(1));
        let twice = "(component $c (core module $m) (core instance (instantiate $m)) (core instance (instantiate $m)))
            (instance (instantiate $c)) (instance (instantiate $c))";
        assert_eq!(of(&format!("(component {twice})")), Some(6));
        assert_eq!(
            of("(component (component $c) (component (alias outer 1 $c (component $d)) (instance (instantiate $d))))"),
            Some(0)
        );
        let aliased = "(component $c) (component $e (alias outer 1 $c (component $d)) (instance (instantiate $d)))
            (instance (instantiate $e))";
        assert_eq!(of(&format!("(component {aliased})")), Some(2));
        let exported = r#"(component $c (core module $m) (core instance (instantiate $m)))
            (export $d "d" (component $c)) (instance (instantiate $d))"#;
        assert_eq!(of(&format!("(component {exported})")), Some(2));
    }

    #[test]
    fn a_component_that_is_only_given_cannot_be_counted() {
        assert_eq!(of(r#"(component (import "c" (component $c)) (instance (instantiate $c)))"#), None);
        let given = r#"(component $c) (component $e (import "c" (component $d)) (instance (instantiate $d)))
            (instance (instantiate $e (with "c" (component $c))))"#;
        assert_eq!(of(&format!("(component {given})")), None);
    }

    #[test]
    fn what_multiplies_is_counted_without_being_made() {
        let count = instances(&peat_test_guests::component_that_multiplies()).unwrap().unwrap();
        assert!(count > 60_000_000_000, "{count}");
        let sound = instances(&peat_test_guests::sound_model()).unwrap().unwrap();
        assert!((1..INSTANCES_MAX).contains(&sound), "{sound}");
    }
}
