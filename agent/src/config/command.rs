//! Reads commands: a program of this host and its arguments, word by word. No shell takes part.

/// More than any command of a server has.
const WORDS_MAX: usize = 256;
/// The kernel takes no more in one word (`MAX_ARG_STRLEN`, execve(2)).
const WORD_BYTES_MAX: usize = 128 << 10;

/// Checks the words of a command: first the program, a path or a name that is looked for in PATH, then its arguments.
pub(super) fn command(words: Vec<String>) -> Result<Vec<String>, String> {
    if words.is_empty() || words.len() > WORDS_MAX {
        return Err(format!("has {} words, wanted 1 to {WORDS_MAX}, the program first", words.len()));
    }
    if words[0].is_empty() {
        return Err("names no program".to_owned());
    }
    words.iter().try_for_each(|word| fits(word))?;
    Ok(words)
}

/// Whether a text can be handed to a program.
pub(super) fn fits(text: &str) -> Result<(), String> {
    if text.contains('\0') {
        return Err("has a zero byte in it".to_owned());
    }
    if text.len() >= WORD_BYTES_MAX {
        return Err(format!("has a text of {} bytes in it, under {WORD_BYTES_MAX} are possible", text.len()));
    }
    Ok(())
}
