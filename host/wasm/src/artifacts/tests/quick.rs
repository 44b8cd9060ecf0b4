//! What is compiled quickly first, and optimised later.

use super::*;

/// A place and what compiles quickly.
fn place() -> (Place, SharedEngine) {
    (Place::new(), SharedEngine::quick_compiler().unwrap())
}

impl Place {
    fn with<T>(&self, quick: &SharedEngine, act: impl FnOnce(Artifacts<'_>, Compilers<'_>, Digest) -> T) -> T {
        let (cache, key) = (self.cache(), self.key());
        let artifacts = Artifacts { cache_dir: &cache, key_file: &key, bytes_max: self.bytes_max };
        act(artifacts, Compilers { engine: &self.engine, quick: Some(quick) }, Digest::of(&self.wasm))
    }

    /// Whether it was made, and quickly.
    fn load_first(&self, quick: &SharedEngine, origin: Origin) -> Result<(bool, bool), ExtensionError> {
        let prepared =
            self.with(quick, |artifacts, compilers, wasm| artifacts.component("@test/guest", compilers, wasm, origin))?;
        Ok((prepared.was_made, prepared.is_quick))
    }

    fn bundle_first(&self, quick: &SharedEngine, origin: Origin) -> Result<Prepared<Bundle>, ExtensionError> {
        self.with(quick, |artifacts, compilers, wasm| artifacts.bundle(compilers, wasm, origin, &self.metadata()))
    }

    fn optimise(&self, quick: &SharedEngine, origin: Origin) -> Result<bool, ExtensionError> {
        self.with(quick, |artifacts, compilers, wasm| {
            artifacts.optimise("@test/guest", compilers.engine, quick, wasm, origin)
        })
    }

    /// Keys of the engines that something is kept for.
    fn engines(&self) -> Vec<String> {
        self.kept().into_iter().map(|kept| kept.engine).collect()
    }
}

#[test]
fn the_first_time_is_quick_until_the_optimised_code_is_there() {
    let (place, quick) = place();
    assert_eq!(place.load_first(&quick, place.bytes()).unwrap(), (true, true));
    assert_eq!(place.load_first(&quick, place.gone()).unwrap(), (false, true));
    assert_eq!(place.engines(), [quick.key()]);
    assert!(!place.is_kept(), "quick code was taken for optimised code");
    assert!(place.optimise(&quick, place.bytes()).unwrap());
    assert_eq!(place.engines(), [place.engine.key()], "one of the two is left");
    assert_eq!(place.load_first(&quick, place.gone()).unwrap(), (false, false));
    assert!(!place.optimise(&quick, place.gone()).unwrap(), "it was made twice");
}

#[test]
fn a_bundle_is_of_the_optimised_code_where_there_is_any() {
    let (place, quick) = place();
    let first = place.bundle_first(&quick, place.bytes()).unwrap();
    assert!(first.was_made && first.is_quick);
    let again = place.bundle_first(&quick, place.gone()).unwrap();
    assert_eq!((again.was_made, again.is_quick, again.value.digest), (false, true, first.value.digest));
    drop(again);
    // What is used stays.
    assert!(place.optimise(&quick, place.bytes()).unwrap());
    assert_eq!(place.engines().len(), 2);
    assert!(first.value.directory.join(BUNDLE_ARTIFACT).exists());
    drop(first);
    let next = place.bundle_first(&quick, place.bytes()).unwrap();
    assert_eq!((next.was_made, next.is_quick), (true, false));
    assert_eq!(place.bundle_first(&quick, place.gone()).unwrap().value.digest, next.value.digest);
    assert!(!place.optimise(&quick, place.gone()).unwrap());
    assert_eq!(place.engines(), [place.engine.key()]);
}

#[test]
fn what_is_not_what_was_compiled_quickly_is_compiled_again() {
    let (place, quick) = place();
    place.load_first(&quick, place.bytes()).unwrap();
    let shelf = place.cache().join("v1").join(quick.key()).join(place.shelf().file_name().unwrap());
    let artifact = shelf.join(format!("{}.cwasm", Digest::of(&place.wasm)));
    let good = std::fs::read(&artifact).unwrap();
    std::fs::write(&artifact, [&good[..], b"x"].concat()).unwrap();
    assert!(matches!(place.load_first(&quick, place.gone()), Err(ExtensionError::Missing { .. })));
    assert_eq!(place.load_first(&quick, place.bytes()).unwrap(), (true, true));
    // Its record says that it is the other compiler's: in that one's place it is not taken.
    let own = place.shelf();
    std::fs::create_dir_all(own.parent().unwrap()).unwrap();
    std::fs::rename(&shelf, &own).unwrap();
    assert!(!place.is_kept());
}

#[test]
fn where_quick_code_cannot_be_kept_the_code_is_optimised_at_once() {
    let (place, quick) = place();
    place.load(place.bytes()).unwrap();
    std::fs::remove_dir_all(place.shelf()).unwrap();
    std::fs::write(place.cache().join("v1").join(quick.key()), b"a file").unwrap();
    assert_eq!(place.load_first(&quick, place.bytes()).unwrap(), (true, false));
    assert!(place.is_kept());
}
