//! `smtp.from`: a mailbox as RFC 5322 3.4 writes it.

use crate::config::engine::{Parsed, Values, problem};
use crate::domain::email::Email;

/// Whom mails are from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SmtpFrom {
    /// The name beside the address.
    pub name: Option<String>,
    /// The address.
    pub address: Email,
}

/// `ada@example.com`, `Ada Lovelace <ada@example.com>` or `"Lovelace, Ada" <ada@example.com>`. In a name outside
/// quotes, all but the quotes and angle brackets stands for itself.
pub(super) fn sender(text: &str) -> Parsed<SmtpFrom> {
    const HELP: &str = "write it like no-reply@example.com, Example <no-reply@example.com> or \
        \"Example, Inc.\" <no-reply@example.com>";
    // In the header a line break would begin another one; escaped or quoted, it is no part of a name either.
    let split = if text.contains(char::is_control) { None } else { split(text) };
    let Some((name, address)) = split else { return problem("is no sender", HELP) };
    if name.contains("=?") && name.contains("?=") {
        return problem(
            "has an encoded name",
            "write the name as it is read: the mails encode it themselves",
        );
    }
    match Email::parse(address) {
        Ok(address) => Ok(SmtpFrom { name: (!name.is_empty()).then_some(name), address }),
        Err(_) => problem("is no sender", HELP),
    }
}

/// The domain of the sender, as mail servers have it.
pub(super) fn domain(values: &Values) -> Option<String> {
    let address = sender(values.text("smtp.from")?).ok()?.address;
    address.mailbox().rsplit_once('@').map(|(_, domain)| domain.to_owned())
}

/// The name, without its quotes and escapes (RFC 5322 3.2.4), and the address.
fn split(text: &str) -> Option<(String, &str)> {
    let mut name = String::new();
    let mut quoted = false;
    let mut characters = text.char_indices();
    while let Some((at, c)) = characters.next() {
        match c {
            '\\' if quoted => name.push(characters.next()?.1),
            '"' => quoted = !quoted,
            '<' if !quoted => {
                return Some((name.trim().to_owned(), text[at + 1..].trim_end().strip_suffix('>')?));
            }
            '>' if !quoted => return None,
            c => name.push(c),
        }
    }
    // No bracket: all of it is the address.
    (!quoted).then_some((String::new(), text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<(Option<String>, String)> {
        sender(text).ok().map(|from| (from.name, from.address.to_string()))
    }

    #[test]
    fn a_sender_is_an_address_with_or_without_a_name() {
        const ADDRESS: &str = "no-reply@example.com";
        for (text, name) in [
            ("no-reply@example.com", None),
            ("<no-reply@example.com>", None),
            ("\"\" <no-reply@example.com>", None),
            ("Example <no-reply@example.com>", Some("Example")),
            ("Example, Inc. <no-reply@example.com>", Some("Example, Inc.")),
            ("\"Example, Inc.\" <no-reply@example.com>", Some("Example, Inc.")),
            ("\"Example, Inc.\"<no-reply@example.com> ", Some("Example, Inc.")),
            (r#""The \"Example\" \\ Co" <no-reply@example.com>"#, Some(r#"The "Example" \ Co"#)),
            ("\"a <b> c\" <no-reply@example.com>", Some("a <b> c")),
            ("\"Example, Inc.\" Support <no-reply@example.com>", Some("Example, Inc. Support")),
            ("Example (Support) <no-reply@example.com>", Some("Example (Support)")),
            ("Żółw & Co <no-reply@example.com>", Some("Żółw & Co")),
            (r"A\B <no-reply@example.com>", Some(r"A\B")),
        ] {
            assert_eq!(read(text), Some((name.map(str::to_owned), ADDRESS.to_owned())), "{text:?}");
        }
    }

    #[test]
    fn what_is_no_mailbox_is_refused() {
        for bad in [
            "",
            "example.com",
            "Example no-reply@example.com",
            "A\r\nBcc: x <a@b.example>",
            "\"A\r\n Bcc: x\" <a@b.example>",
            "\"A\\\r\\\nBcc: x\" <a@b.example>",
            "\"A\0\" <a@b.example>",
            "<a>b <a@b.example>",
            "a>b <a@b.example>",
            "\"A <a@b.example>",
            "\"A\\\" <a@b.example>",
            "\"A\" <a@b.example> B",
            "\"A\" <a@b.example",
            "\"A\" <a@b.example>, <c@d.example>",
            "\"A\" a@b.example",
            "=?utf-8?q?Caf=C3=A9?= <a@b.example>",
            "\"=?utf-8?q?Caf=C3=A9?=\" <a@b.example>",
        ] {
            assert_eq!(read(bad), None, "{bad:?}");
        }
    }
}
