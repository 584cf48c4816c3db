//! The process's limit of open files: each connection is one.

use rlimit::Resource;

/// Raises the soft limit of open files to the hard one and answers the soft limit before and now,
/// for the start-up line. Where the system refuses, both are what they were; where it does not
/// even tell, both are 0.
pub fn raise_open_files() -> (u64, u64) {
    let Ok((before, hard)) = Resource::NOFILE.get() else {
        return (0, 0);
    };
    if before < hard && Resource::NOFILE.set(hard, hard).is_err() {
        return (before, before);
    }
    (before, hard)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_soft_limit_becomes_the_hard_one() {
        let (soft, hard) = Resource::NOFILE.get().unwrap();
        assert_eq!(raise_open_files(), (soft, hard));
        assert_eq!(Resource::NOFILE.get().unwrap(), (hard, hard));
        assert_eq!(raise_open_files(), (hard, hard));
    }
}
