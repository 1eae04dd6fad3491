//! Memory that was freed, given back to the system.
//!
//! The allocator of glibc gives back by itself what is free at the end of a heap, and each large piece. What
//! it takes for large grows with the pieces that are freed, up to 32 MiB, and with it what it keeps at the
//! end of a heap, up to 64 MiB for each thread ([`keep_little`]). What is free below a piece that is still in
//! use it keeps for later, which after a rush of connections is nearly all that they needed ([`give_back`]).
//!
//! Elsewhere than on Linux with glibc nothing is done.

/// How large a piece has to be to be the system's again when it is freed, and how much is kept at the end of
/// a heap, bytes. Beside a piece of this size, asking the system for it is cheap.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const LARGE: i32 = 1024 * 1024;

/// Has the allocator give back what it frees from a size of 1 MiB on, for good, and says whether it will.
///
/// To be called at the start: it does nothing once the process has a second thread.
pub fn keep_little() -> bool {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    #[expect(unsafe_code, reason = "libc has no safe form of it")]
    let set = is_alone()
        && [libc::M_MMAP_THRESHOLD, libc::M_TRIM_THRESHOLD].into_iter().all(|option| {
            // SAFETY: it takes no pointer. Not every thread may call it beside others (mallopt(3): MT-Unsafe
            // init), and there are no others, nor anybody to start one.
            unsafe { libc::mallopt(option, LARGE) == 1 }
        });
    #[cfg(not(all(target_os = "linux", target_env = "gnu")))]
    let set = false;
    set
}

/// Whether the process has this thread and no other (proc(5)); no, where that cannot be told.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn is_alone() -> bool {
    std::fs::read_dir("/proc/self/task").is_ok_and(|threads| threads.count() == 1)
}

/// Gives the system every page below a heap's end that nothing is in, and says whether there were any.
///
/// Whoever allocates meanwhile may wait for as long as one heap takes (a thread has one, some share): some
/// milliseconds after a rush.
pub fn give_back() -> bool {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    #[expect(unsafe_code, reason = "libc has no safe form of it")]
    // SAFETY: it takes no pointer, may be called by any thread at any time (malloc_trim(3): MT-Safe), and
    // leaves what is allocated as it is.
    let gave = unsafe { libc::malloc_trim(0) } == 1;
    #[cfg(not(all(target_os = "linux", target_env = "gnu")))]
    let gave = false;
    gave
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a connection needs, about.
    const PIECE: usize = 32 * 1024;

    const PIECES: usize = 2_000;

    /// How many bytes this process has in memory (proc_pid_status(5)).
    fn resident() -> usize {
        let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("such a line");
        line.trim().trim_end_matches(" kB").parse::<usize>().expect("a number") * 1024
    }

    #[test]
    fn beside_other_threads_the_allocator_is_left_as_it_is() {
        // The thread that runs the tests is there as well.
        assert!(!keep_little());
    }

    #[test]
    #[cfg_attr(not(all(target_os = "linux", target_env = "gnu")), ignore = "needs glibc")]
    fn what_is_free_between_pieces_in_use_is_given_back() {
        let mut pieces: Vec<Vec<u8>> = (0..PIECES).map(|_| vec![1; PIECE]).collect();
        let full = resident();
        let mut number = 0;
        pieces.retain(|_| {
            number += 1;
            number % 10 == 0
        });
        let freed = (PIECES - pieces.len()) * PIECE;
        assert!(resident() > full - freed / 4, "the allocator gives it back by itself by now");
        assert!(give_back());
        assert!(resident() < full - freed / 4 * 3, "{} of {full} bytes are left", resident());
        assert!(pieces.iter().flatten().all(|byte| *byte == 1), "what is in use is as it was");
    }
}
