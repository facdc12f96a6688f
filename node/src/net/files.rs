//! How many files the process may have open at once: each connection is one.

use rustix::process::{Resource, getrlimit, setrlimit};

/// Asks the system for as many as it grants this user; gives how many that are.
pub fn allow_many_files() -> u64 {
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        let before = std::mem::replace(&mut limit.current, limit.maximum);
        if setrlimit(Resource::Nofile, limit).is_err() {
            limit.current = before;
        }
    }
    limit.current.unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_gets_as_many_files_as_the_system_grants_it() {
        let mut limit = getrlimit(Resource::Nofile);
        limit.current = limit.current.map(|most| most.min(4_096));
        setrlimit(Resource::Nofile, limit).unwrap();
        assert_eq!(allow_many_files(), limit.maximum.unwrap_or(u64::MAX));
        assert_eq!(getrlimit(Resource::Nofile).current, limit.maximum);
    }
}
