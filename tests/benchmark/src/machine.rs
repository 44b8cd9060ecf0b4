//! What the figures were measured on.

use std::fs;

/// One line: processor, cores, memory, kernel.
pub(crate) fn describe() -> String {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let value = |text: &str, name: &str| {
        let line = text.lines().find(|line| line.starts_with(name)).and_then(|line| line.split_once(':'));
        line.map(|(_, value)| value.trim().to_owned()).unwrap_or_default()
    };
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let memory_kib: u64 = value(&read("/proc/meminfo"), "MemTotal").trim_end_matches(" kB").parse().unwrap_or(0);
    format!(
        "{cores} cores of {}, {} GiB, Linux {}",
        value(&read("/proc/cpuinfo"), "model name"),
        memory_kib.div_ceil(1024 * 1024),
        read("/proc/sys/kernel/osrelease").trim()
    )
}
