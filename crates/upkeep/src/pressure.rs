//! For how much of the time programs wait for memory, as the kernel tells (`Documentation/accounting/psi.rst`).

use std::fs;
use std::path::Path;

/// For how much of the last ten seconds somebody waited for memory.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pressure {
    /// In percent.
    pub percent: f64,
    /// In the control group that the process is in; else in the whole machine.
    pub is_group: bool,
}

impl Pressure {
    /// Of the control group that the process with this number is in, else of the machine. `None` where the kernel tells nothing.
    pub fn of(pid: i32) -> Option<Self> {
        Self::read(Path::new("/"), pid)
    }

    fn read(root: &Path, pid: i32) -> Option<Self> {
        let groups = fs::read_to_string(root.join(format!("proc/{pid}/cgroup"))).unwrap_or_default();
        // Version 2: its line has no controllers (cgroups(7)). The topmost group is the machine.
        let group = groups.lines().find_map(|line| line.strip_prefix("0::/")).filter(|group| !group.is_empty());
        let of_group =
            group.and_then(|group| some_avg10(&root.join("sys/fs/cgroup").join(group).join("memory.pressure")));
        match of_group {
            Some(percent) => Some(Self { percent, is_group: true }),
            None => Some(Self { percent: some_avg10(&root.join("proc/pressure/memory"))?, is_group: false }),
        }
    }
}

fn some_avg10(path: &Path) -> Option<f64> {
    let text = fs::read_to_string(path).ok()?;
    let some = text.lines().find_map(|line| line.strip_prefix("some "))?;
    some.split(' ').find_map(|part| part.strip_prefix("avg10="))?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_of_its_own_tells_before_the_machine() {
        let root = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        let read = || Pressure::read(root.path(), 7);
        assert_eq!(read(), None);
        let psi = |avg10| {
            format!(
                "some avg10={avg10} avg60=1.00 avg300=0.00 total=9\nfull avg10=99.00 avg60=0.00 avg300=0.00 total=9\n"
            )
        };
        write("proc/pressure/memory", &psi("12.50"));
        assert_eq!(read(), Some(Pressure { percent: 12.5, is_group: false }));
        write("proc/7/cgroup", "4:memory:/x\n0::/model\n");
        write("sys/fs/cgroup/model/memory.pressure", &psi("70.00"));
        assert_eq!(read(), Some(Pressure { percent: 70.0, is_group: true }));
        write("proc/7/cgroup", "0::/\n");
        assert_eq!(read(), Some(Pressure { percent: 12.5, is_group: false }));
    }
}
