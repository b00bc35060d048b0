//! Memory: what a process that sleeps for weeks need not keep mapped.

use rustix::mm::{Advice, madvise};

use crate::procfs;

/// Lets go of the pages of program text, ours and the libraries'. The kernel has them in its page cache and maps the few that are
/// used after the sleep anew; all that was needed for the start stays out.
#[expect(unsafe_code, reason = "advice about memory has no safe call")]
pub fn forget_text() {
    let Ok(maps) = std::fs::read_to_string("/proc/self/maps") else { return };
    for (start, end) in procfs::text_of_files(&maps) {
        let pointer = std::ptr::with_exposed_provenance_mut(start);
        // SAFETY: the range is a mapping of a file that may be executed and not written, so it has nothing that the file has not: the
        // next access finds the same bytes (madvise(2), MADV_DONTNEED). Nothing of Rust's lies there but code and constants.
        // That it fails costs some memory and nothing else.
        let _ = unsafe { madvise(pointer, end - start, Advice::LinuxDontNeed) };
    }
}
