//! The drivers that the suite runs on.

use crate::subject::Subject;

/// Makes a test a driver of every function named, in a module named after the driver. Each driver is one line here.
macro_rules! on_every_driver {
    ($($behaviour:ident),* $(,)?) => {
        on_every_driver!(@ in_process "in-process": $($behaviour),*);
        on_every_driver!(@ process "process": $($behaviour),*);
        on_every_driver!(@ container "container": $($behaviour),*);
    };
    (@ $module:ident $driver:literal: $($behaviour:ident),*) => {
        mod $module {
            $(#[test]
            fn $behaviour() {
                crate::driver::on($driver, concat!(module_path!(), "::", stringify!($behaviour)), super::$behaviour);
            })*
        }
    };
}

/// The drivers that this machine can run.
fn drivers() -> Vec<&'static str> {
    vec!["in-process"]
}

/// Runs a behaviour on a driver and compares what it showed with its snapshot.
pub(crate) fn on(driver: &'static str, test: &str, behaviour: fn(&mut Subject)) {
    if !drivers().contains(&driver) {
        eprintln!("{test}: nothing was tested, because this machine cannot run the driver {driver}");
        return;
    }
    let mut subject = Subject::new(driver);
    behaviour(&mut subject);
    // "methods::data::in_process::writes" is "data__writes" for every driver.
    let parts: Vec<&str> = test.split("::").collect();
    subject.compare(&format!("{}__{}", parts[1], parts[3]));
}
