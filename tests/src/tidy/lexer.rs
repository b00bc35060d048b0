//! As much of Rust's grammar as it takes to tell code from comments and literals.

use std::iter::Peekable;
use std::str::Chars;

/// `text` with comments gone and literals emptied; lines stay lines.
pub(super) fn code_of(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '/' if rest.peek() == Some(&'/') => skip_line(&mut rest),
            '/' if rest.peek() == Some(&'*') => skip_block(&mut rest),
            '"' => skip_string(&mut rest),
            'r' if rest.peek().is_some_and(|next| "\"#".contains(*next)) && !ends_word(&code) => skip_raw(&mut rest, &mut code),
            '\'' => skip_char(&mut rest),
            _ => code.push(c),
        }
    }
    code
}

/// What comes before the tests of a file.
pub(super) fn without_tests(text: &str) -> &str {
    text.find("#[cfg(test)]\nmod tests {").map_or(text, |at| &text[..at])
}

fn ends_word(code: &str) -> bool {
    code.ends_with(|c: char| c.is_alphanumeric() || c == '_')
}

fn skip_line(rest: &mut Peekable<Chars>) {
    while rest.next_if(|c| *c != '\n').is_some() {}
}

fn skip_block(rest: &mut Peekable<Chars>) {
    let mut last = ' ';
    // The star that opens the comment does not close it.
    rest.next();
    for c in rest.by_ref() {
        if last == '*' && c == '/' {
            return;
        }
        last = c;
    }
}

fn skip_string(rest: &mut Peekable<Chars>) {
    while let Some(c) = rest.next() {
        match c {
            '\\' => drop(rest.next()),
            '"' => return,
            _ => {}
        }
    }
}

/// `r"..."` and `r#"..."#`; `r#name` is a name.
fn skip_raw(rest: &mut Peekable<Chars>, code: &mut String) {
    let mut hashes = 0;
    while rest.next_if_eq(&'#').is_some() {
        hashes += 1;
    }
    if rest.next_if_eq(&'"').is_none() {
        code.push_str("r#");
        return;
    }
    let mut matched = None;
    for c in rest.by_ref() {
        matched = match (c, matched) {
            ('"', _) => Some(0),
            ('#', Some(count)) => Some(count + 1),
            _ => None,
        };
        if matched == Some(hashes) {
            return;
        }
    }
}

/// A character; what is a lifetime loses only its tick.
fn skip_char(rest: &mut Peekable<Chars>) {
    let mut ahead = rest.clone();
    let escaped = ahead.next() == Some('\\');
    if escaped {
        rest.next();
        rest.next();
        while rest.next().is_some_and(|c| c != '\'') {}
    } else if ahead.next() == Some('\'') {
        rest.next();
        rest.next();
    }
}
