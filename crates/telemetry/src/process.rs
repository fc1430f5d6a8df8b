//! What the system says of our own process.

use std::sync::LazyLock;
use std::time::{SystemTime, UNIX_EPOCH};

use procfs::process::{LimitValue, Process};

use crate::{Exposition, names};

/// When the process began, as near as it matters: when this was first asked for.
static BEGAN: LazyLock<f64> =
    LazyLock::new(|| SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64());

/// Adds memory, CPU, descriptors and threads. What the system does not tell is left out. Reads files of the kernel; it takes some
/// tens of microseconds.
pub fn expose_process(figures: &mut Exposition) {
    let Ok(own) = Process::myself() else { return };
    if let Ok(stat) = own.stat() {
        let ticks = procfs::ticks_per_second() as f64;
        figures.number(&names::CPU, &[], (stat.utime + stat.stime) as f64 / ticks);
        figures.count(&names::MEMORY, &[], stat.rss * procfs::page_size());
        figures.number(&names::THREADS, &[], stat.num_threads as f64);
        let began = procfs::boot_time_secs().map_or(*BEGAN, |boot| boot as f64 + stat.starttime as f64 / ticks);
        figures.number(&names::START_TIME, &[], began);
    }
    if let Ok(open) = own.fd_count() {
        figures.count(&names::DESCRIPTORS, &[], open as u64);
    }
    if let Ok(limits) = own.limits()
        && let LimitValue::Value(most) = limits.max_open_files.soft_limit
    {
        figures.count(&names::DESCRIPTORS_MAX, &[], most);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Format;

    #[test]
    fn the_system_tells_of_ourselves() {
        let mut figures = Exposition::new();
        expose_process(&mut figures);
        let text = figures.write(Format::Text);
        let value = |name: &str| -> f64 {
            let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("{name} in {text}"));
            line.rsplit(' ').next().unwrap().parse().unwrap()
        };
        assert!(value("tollhouse_process_resident_memory_bytes ") > 500_000.0);
        assert!(value("tollhouse_process_threads ") >= 1.0);
        let open = value("tollhouse_process_open_fds ");
        assert!(open >= 3.0 && open <= value("tollhouse_process_max_fds "));
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64();
        let began = value("tollhouse_process_start_time_seconds ");
        assert!((now - 86_400.0..=now + 1.0).contains(&began), "{began} {now}");
    }
}
