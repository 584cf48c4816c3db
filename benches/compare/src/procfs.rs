//! What the kernel knows of a server: its processes, their memory and their CPU time.
//!
//! Memory is PSS (`/proc/PID/smaps_rollup`), summed over the process tree, so that pages which
//! processes share count once; the kernel's own memory for sockets is in no such figure. CPU time
//! is user and system time of every thread in nanoseconds (`/proc/PID/task/*/schedstat`). Threads
//! that ended are missing there, so `/proc/PID/stat`, which has them in units of 10 ms, is read
//! beside it and wins when it knows of more.

use std::{
    collections::HashMap,
    fs, io,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, anyhow};

use crate::stop::Stop;

/// A reading of the CPU time of a process tree; two make a figure.
#[derive(Clone, Debug)]
pub struct CpuReading {
    /// Nanoseconds by thread.
    threads: HashMap<u32, u64>,
    /// Clock ticks (10 ms) of all processes, ended threads and reaped children included.
    ticks: HashMap<u32, u64>,
}

/// Nanoseconds in a clock tick of `/proc/PID/stat` (`USER_HZ` is 100 on every Linux we meet).
const TICK: u64 = 10_000_000;

/// The process `root` and all that descend from it.
pub fn tree(root: u32) -> Vec<u32> {
    let mut parents = Vec::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok())
        else {
            continue;
        };
        if let Some(parent) = stat_field(pid, 4) {
            parents.push((pid, parent));
        }
    }
    let mut found = vec![root];
    let mut next = 0;
    while next < found.len() {
        let parent = u64::from(found[next]);
        found.extend(
            parents
                .iter()
                .filter(|(_, of)| *of == parent)
                .map(|(pid, _)| *pid),
        );
        next += 1;
    }
    found
}

/// When the process was started, in ticks since boot: with the pid it names a process for good.
pub fn start_time(pid: u32) -> Option<u64> {
    stat_field(pid, 22)
}

/// True while the process exists and is not merely waiting to be reaped.
pub fn alive(pid: u32, started: u64) -> bool {
    let Some(stat) = stat_fields(pid) else {
        return false;
    };
    let mut fields = stat.split(' ');
    fields.next() != Some("Z") && start_time(pid) == Some(started)
}

/// Field `number` of `/proc/PID/stat` as proc(5) counts them, from 3 on.
fn stat_field(pid: u32, number: usize) -> Option<u64> {
    stat_fields(pid)?.split(' ').nth(number - 3)?.parse().ok()
}

/// `/proc/PID/stat` from field 3 on: what stands before may hold spaces and brackets.
fn stat_fields(pid: u32) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(") ").map(|(_, rest)| rest.to_owned())
}

/// PSS of the tree in bytes.
///
/// # Errors
/// A process of the tree cannot be read (it belongs to another user) or is gone.
pub fn pss(root: u32) -> Result<u64> {
    let mut total = 0;
    for pid in tree(root) {
        let path = format!("/proc/{pid}/smaps_rollup");
        let text = match fs::read_to_string(&path) {
            // A helper process that ended in between, a zombie: neither has memory.
            Err(error) if pid != root && error.kind() != io::ErrorKind::PermissionDenied => {
                continue;
            }
            other => other.with_context(|| format!("reading {path}"))?,
        };
        let kilobytes: u64 = text
            .lines()
            .find_map(|line| line.strip_prefix("Pss:"))
            .and_then(|rest| rest.trim().strip_suffix(" kB"))
            .and_then(|number| number.parse().ok())
            .ok_or_else(|| anyhow!("no Pss in {path}"))?;
        total += kilobytes * 1024;
    }
    Ok(total)
}

/// Reads the CPU time of the tree.
pub fn cpu(root: u32) -> CpuReading {
    let mut reading = CpuReading {
        threads: HashMap::new(),
        ticks: HashMap::new(),
    };
    for pid in tree(root) {
        for entry in fs::read_dir(format!("/proc/{pid}/task"))
            .into_iter()
            .flatten()
            .flatten()
        {
            let thread = entry
                .file_name()
                .to_str()
                .and_then(|name| name.parse().ok());
            let text = fs::read_to_string(entry.path().join("schedstat")).ok();
            let time = text
                .as_deref()
                .and_then(|text| text.split(' ').next()?.parse().ok());
            if let (Some(thread), Some(time)) = (thread, time) {
                reading.threads.insert(thread, time);
            }
        }
        // utime, stime, and those of children that were waited for.
        let ticks = (14..=17).filter_map(|field| stat_field(pid, field)).sum();
        reading.ticks.insert(pid, ticks);
    }
    reading
}

impl CpuReading {
    /// Forgets the threads and processes that `other` knows too.
    pub fn leave_out(&mut self, other: &Self) {
        self.threads
            .retain(|thread, _| !other.threads.contains_key(thread));
        self.ticks.retain(|pid, _| !other.ticks.contains_key(pid));
    }

    /// CPU time between `earlier` and this reading.
    pub fn since(&self, earlier: &Self) -> Duration {
        let threads = grown(&self.threads, &earlier.threads);
        let ticks = grown(&self.ticks, &earlier.ticks) * TICK;
        // Rounding alone explains 20 ms for each process; more means that threads ended.
        let rounding = 2 * TICK * self.ticks.len() as u64;
        let lost = ticks > threads + rounding && ticks > threads + threads / 20;
        Duration::from_nanos(if lost { ticks } else { threads })
    }
}

fn grown(now: &HashMap<u32, u64>, then: &HashMap<u32, u64>) -> u64 {
    now.iter()
        .map(|(key, value)| value.saturating_sub(*then.get(key).unwrap_or(&0)))
        .sum()
}

/// Waits until the tree uses less than 1 % of a core for 300 ms; see [`quiet`].
///
/// # Errors
/// The run is to stop.
pub fn settled(root: u32, stop: &Stop) -> Result<CpuReading> {
    quiet(root, Duration::from_millis(300), stop)
}

/// Waits until the tree uses less than 1 % of a core for so long, at most 5 s (a server with work
/// of its own to do never gets quieter), and returns the reading of that moment.
///
/// # Errors
/// The run is to stop.
pub fn quiet(root: u32, time: Duration, stop: &Stop) -> Result<CpuReading> {
    let end = Instant::now() + Duration::from_secs(5);
    let mut last = cpu(root);
    loop {
        stop.pause(time)?;
        let now = cpu(root);
        if now.since(&last) < time / 100 || Instant::now() >= end {
            return Ok(now);
        }
        last = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_memory_time_and_a_start() {
        let pid = std::process::id();
        assert!(pss(pid).unwrap() > 4096);
        assert!(alive(pid, start_time(pid).unwrap()));
        assert!(!alive(pid, start_time(pid).unwrap() + 1));
    }

    #[test]
    fn the_tree_has_grandchildren() {
        // The inner shell prints its pid and then waits for its input to end.
        let mut child = std::process::Command::new("sh")
            .args(["-c", "sh -c 'echo $$; read x' ; true"])
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let out = child.stdout.as_mut().unwrap();
        io::BufRead::read_line(&mut io::BufReader::new(out), &mut line).unwrap();
        let found = tree(std::process::id());
        assert!(found.contains(&child.id()), "{found:?}");
        assert!(
            found.contains(&line.trim().parse().unwrap()),
            "{found:?} without {line}"
        );
        drop(child.stdin.take());
        child.wait().unwrap();
    }

    #[test]
    fn ticks_count_when_threads_ended() {
        let reading = |thread, ticks| CpuReading {
            threads: HashMap::from([(1, thread)]),
            ticks: HashMap::from([(1, ticks)]),
        };
        let start = reading(5, 0);
        assert_eq!(
            reading(1_000_005, 1).since(&start),
            Duration::from_millis(1)
        );
        assert_eq!(
            reading(1_000_005, 100).since(&start),
            Duration::from_secs(1)
        );
    }
}
