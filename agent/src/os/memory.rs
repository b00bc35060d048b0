//! Memory: what a process that sleeps for weeks need not keep mapped.

use rustix::mm::{Advice, madvise};

use crate::procfs;

/// Lets go of all pages that only show what a file holds: program text and constants, ours and the libraries'. The kernel has them
/// in its page cache, and maps the few that are used after the sleep anew; what only the start needed stays out.
#[expect(unsafe_code, reason = "advice about memory has no safe call")]
pub fn forget_files() {
    let Ok(smaps) = std::fs::read_to_string("/proc/self/smaps") else { return };
    for (start, end) in procfs::plain_files(&smaps) {
        let pointer = std::ptr::with_exposed_provenance_mut(start);
        // SAFETY: the range maps a file privately, may not be written, and no page of it ever was: the next access finds the same
        // bytes in the file (madvise(2), MADV_DONTNEED). A mapping cannot become writable meanwhile: this process maps and
        // protects memory only when it loads libraries, which is done. That it fails costs some memory and nothing else.
        let _ = unsafe { madvise(pointer, end - start, Advice::LinuxDontNeed) };
    }
}
