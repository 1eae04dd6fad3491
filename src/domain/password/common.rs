//! Which passwords are among the first that an attacker tries: whole entries of lists of leaked
//! passwords, words and names (where they come from: `NOTICE`).
//!
//! It takes microseconds whatever the text is, since anybody may ask: a few folded forms of the text are
//! looked up in sorted lists. A strength meter would say more, and takes a quarter of a second for 64
//! characters that an attacker chooses.

use std::cmp::Ordering;

/// The lists: one entry a line, each once, in the order of their bytes, in lower case.
const LIST: &str = include_str!("common.txt");

/// The longest entry of the lists, in bytes; what is longer need not be looked for.
const ENTRY_MAX_BYTES: usize = 23;

/// How many characters may stand for one of two letters. All others stand for one at most.
const AMBIGUOUS: u8 = 3;

/// Whether the text as a whole is an entry of the lists or one of `own`, in whatever case, also
/// backwards, or with digits and signs in place of letters ("p4ssw0rd").
pub(super) fn is_common(text: &str, own: &[&str]) -> bool {
    let text = text.to_lowercase();
    let is_known = |form: &str| {
        let backwards: String = form.chars().rev().collect();
        [form, &backwards].into_iter().any(|form| is_entry(form) || own.contains(&form))
    };
    is_known(&text)
        || (0..1 << AMBIGUOUS).any(|choice| {
            let form: String = text.chars().map(|c| letter(c, choice)).collect();
            form != text && is_known(&form)
        })
}

/// The letter that a character may stand for; `choice` has a bit for each that may stand for two.
fn letter(c: char, choice: u8) -> char {
    let either = |bit: u8, one, other| if choice & (1 << bit) == 0 { one } else { other };
    match c {
        '4' | '@' => 'a',
        '8' => 'b',
        '(' | '{' | '[' | '<' => 'c',
        '3' => 'e',
        '6' | '9' => 'g',
        '!' => 'i',
        '1' => either(0, 'i', 'l'),
        '|' => either(1, 'i', 'l'),
        '0' => 'o',
        '$' | '5' => 's',
        '+' => 't',
        '7' => either(2, 't', 'l'),
        '%' => 'x',
        '2' => 'z',
        other => other,
    }
}

/// Whether the lists have this entry: by halves, straight in the text.
fn is_entry(wanted: &str) -> bool {
    if wanted.is_empty() || wanted.len() > ENTRY_MAX_BYTES {
        return false;
    }
    let list = LIST.as_bytes();
    // Both are beginnings of lines, or the end.
    let (mut low, mut high) = (0, list.len());
    while low < high {
        let middle = usize::midpoint(low, high);
        let begins = list[low..middle].iter().rposition(|byte| *byte == b'\n').map_or(low, |at| low + at + 1);
        let rest = &list[begins..high];
        let length = rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
        match rest[..length].cmp(wanted.as_bytes()) {
            Ordering::Equal => return true,
            Ordering::Less => low = (begins + length + 1).min(high),
            Ordering::Greater => high = begins,
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_entry_is_found_and_nothing_between_two() {
        let entries: Vec<&str> = LIST.lines().collect();
        assert_eq!(entries.len(), 93_855);
        for pair in entries.windows(2) {
            assert!(pair[0] < pair[1], "{pair:?}");
        }
        for entry in entries {
            assert!(is_entry(entry), "{entry}");
            assert!(!entry.is_empty() && entry.len() <= ENTRY_MAX_BYTES, "{entry}");
            assert_eq!(entry, entry.to_lowercase());
            assert!(!is_entry(&format!("{entry}\u{1}")), "{entry}");
        }
        for absent in ["", "\n", "\u{1}", "~~~", "tqjzkvwm", "password\npassword1"] {
            assert!(!is_entry(absent), "{absent:?}");
        }
    }

    #[test]
    fn an_entry_is_known_in_every_disguise_that_programs_try() {
        for common in [
            "password", "PassWord", "drowssap", "DROWSSAP", "p4ssw0rd", "P@$$w0rd", "dr0w55@p", "1l0vey0u",
            "|loveyou", "f00+ball", "foo7ball", "foo7ba11", "(harlie", "12345678", "87654321",
        ] {
            assert!(is_common(common, &[]), "{common}");
        }
        for own in ["ada.lovelace", "ADA.LOVELACE", "ecalevol.ada", "4d4.l0vel4ce"] {
            assert!(is_common(own, &["ada.lovelace"]), "{own}");
            assert!(!is_common(own, &["eve"]), "{own}");
        }
        for rare in ["tqjzkvwm", "correct horse battery staple", "password tqjz", "", "żółćżółć"] {
            assert!(!is_common(rare, &["ada.lovelace"]), "{rare}");
        }
    }
}
