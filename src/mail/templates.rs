//! The words of the mails: a subject, a text, and the same as HTML.
//!
//! Nothing that a user chose gets into a header but their address, which is one that our parser
//! took. In HTML every value is escaped, links included.

use std::time::Duration;

use crate::domain::email::Email;
use crate::domain::html::escape;
use crate::domain::link::{Link, LinkTemplate};
use crate::service::mail::{Mail, Notice};

/// Where the links in mails lead. They come of the settings alone, never of a request: a `Host`
/// header that somebody made up would else send a victim's token to them.
#[derive(Clone, Debug)]
pub struct Links {
    /// What readers call the app that they log in to.
    pub service: String,
    /// Where they go on in it, if that is known.
    pub app: Option<Link>,
    /// The page where a new password is chosen.
    pub reset: LinkTemplate,
    /// The page where an address is confirmed.
    pub verification: LinkTemplate,
}

/// A mail in words. It holds a token, so no log line may print it.
#[derive(Clone, PartialEq, Eq)]
pub struct Letter {
    /// The subject, one line.
    pub subject: String,
    /// The words as plain text.
    pub text: String,
    /// The same words as HTML.
    pub html: String,
}

struct Template {
    subject: &'static str,
    text: &'static str,
    html: &'static str,
}

const PASSWORD_RESET: Template = Template {
    subject: "Choose a new password for {{service}}",
    text: include_str!("templates/password_reset.txt"),
    html: include_str!("templates/password_reset.html"),
};
const VERIFY_EMAIL: Template = Template {
    subject: "Confirm your e-mail address for {{service}}",
    text: include_str!("templates/verify_email.txt"),
    html: include_str!("templates/verify_email.html"),
};
const REGISTERED_AGAIN: Template = Template {
    subject: "Confirm your e-mail address for {{service}}",
    text: include_str!("templates/registered_again.txt"),
    html: include_str!("templates/registered_again.html"),
};
const ALREADY_REGISTERED: Template = Template {
    subject: "You already have an account at {{service}}",
    text: include_str!("templates/already_registered.txt"),
    html: include_str!("templates/already_registered.html"),
};

const TEST: Template = Template {
    subject: "A test mail of {{service}}",
    text: include_str!("templates/test.txt"),
    html: include_str!("templates/test.html"),
};

/// What stands for the way on, where there is one.
const WAY_ON: &str = "{{way_on}}";
const WAY_ON_TEXT: &str = "\nGo to {{service}}: {{app}}\n";
const WAY_ON_HTML: &str = "<p><a href=\"{{app}}\">Go to {{service}}</a></p>\n";

/// A mail that shows that mails get through: it is about no account.
pub fn test_letter(service: &str, to: &Email) -> Letter {
    let values = [("service", service.to_owned()), ("email", to.as_str().to_owned())];
    TEST.fill(&values, false)
}

/// Puts a mail into words.
pub(super) fn write(mail: &Mail, links: &Links) -> Letter {
    let (template, link) = match &mail.notice {
        Notice::PasswordReset(token) => (PASSWORD_RESET, links.reset.with(token.expose())),
        Notice::VerifyEmail(token) => (VERIFY_EMAIL, links.verification.with(token.expose())),
        Notice::RegisteredAgain(token) => (REGISTERED_AGAIN, links.verification.with(token.expose())),
        Notice::AlreadyRegistered => (ALREADY_REGISTERED, String::new()),
    };
    let greeting = match &mail.name {
        Some(name) => format!("Hello {},", name.as_str()),
        None => "Hello,".to_owned(),
    };
    let values = [
        ("greeting", greeting),
        ("service", links.service.clone()),
        ("email", mail.to.as_str().to_owned()),
        ("link", link),
        ("app", links.app.as_ref().map(|app| app.as_str().to_owned()).unwrap_or_default()),
        ("valid_for", spoken(mail.valid_for)),
    ];
    template.fill(&values, links.app.is_some())
}

impl Template {
    fn fill(&self, values: &[(&str, String)], has_way_on: bool) -> Letter {
        let way_on = |way| if has_way_on { way } else { "" };
        Letter {
            subject: fill(self.subject, values, str::to_owned),
            text: fill(&self.text.replace(WAY_ON, way_on(WAY_ON_TEXT)), values, str::to_owned),
            html: fill(&self.html.replace(WAY_ON, way_on(WAY_ON_HTML)), values, escape),
        }
    }
}

/// Puts values in their places, in one pass: what looks like a place inside a value stays as it is.
fn fill(template: &str, values: &[(&str, String)], encode: fn(&str) -> String) -> String {
    let mut filled = String::with_capacity(template.len() + 512);
    let mut rest = template;
    while let Some((before, behind)) = rest.split_once("{{") {
        filled.push_str(before);
        let Some((name, after)) = behind.split_once("}}") else {
            rest = behind;
            break;
        };
        if let Some((_, value)) = values.iter().find(|(known, _)| *known == name) {
            filled.push_str(&encode(value));
        }
        rest = after;
    }
    filled.push_str(rest);
    filled
}

/// A span as people say it, in the largest unit that it is a whole number of.
fn spoken(span: Duration) -> String {
    let seconds = span.as_secs();
    let (number, unit) = match seconds {
        0 => (0, "second"),
        s if s % 86_400 == 0 => (s / 86_400, "day"),
        s if s % 3_600 == 0 => (s / 3_600, "hour"),
        s if s % 60 == 0 => (s / 60, "minute"),
        s => (s, "second"),
    };
    format!("{number} {unit}{}", if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::clock::Timestamp;
    use crate::domain::ids::UserId;
    use crate::domain::name::Name;
    use crate::domain::tokens::{ResetToken, VerificationToken};

    fn links() -> Links {
        Links {
            service: "auth.example.com".to_owned(),
            app: None,
            reset: LinkTemplate::to_page("https://auth.example.com/reset-password"),
            verification: LinkTemplate::parse("https://app.example.com/?a=1&b=2#/confirm/{token}").unwrap(),
        }
    }

    fn mail(to: &str, name: &str, notice: Notice) -> Mail {
        Mail {
            user: UserId::try_from(7).unwrap(),
            to: Email::parse(to).unwrap(),
            name: Name::parse(name).unwrap(),
            notice,
            valid_for: Duration::from_secs(600),
            deadline: Timestamp::from_millis(0),
        }
    }

    fn all_notices() -> [Notice; 4] {
        [
            Notice::PasswordReset(ResetToken::new("hp_pr_A-_")),
            Notice::VerifyEmail(VerificationToken::new("hp_ev_A-_")),
            Notice::RegisteredAgain(VerificationToken::new("hp_ev_A-_")),
            Notice::AlreadyRegistered,
        ]
    }

    #[test]
    fn a_letter_says_what_it_is_about_in_text_and_in_html() {
        for (notice, link) in all_notices().into_iter().zip([
            Some("https://auth.example.com/reset-password#token=hp_pr_A-_"),
            Some("https://app.example.com/?a=1&b=2#/confirm/hp_ev_A-_"),
            Some("https://app.example.com/?a=1&b=2#/confirm/hp_ev_A-_"),
            None,
        ]) {
            let letter = write(&mail("ada@example.com", "Ada", notice), &links());
            assert!(letter.subject.ends_with("auth.example.com"), "{}", letter.subject);
            for body in [&letter.text, &letter.html] {
                assert!(body.contains("Hello Ada,") && body.contains("ada@example.com"), "{body}");
                assert!(!body.contains("{{") && !body.contains("}}"), "{body}");
                assert_eq!(body.contains("10 minutes"), link.is_some(), "{body}");
            }
            if let Some(link) = link {
                assert!(letter.text.lines().any(|line| line == link), "{}", letter.text);
                let href = format!("href=\"{}\"", escape(link));
                assert!(letter.html.contains(&href), "{}", letter.html);
            }
        }
    }

    #[test]
    fn what_a_user_chose_is_text_and_never_markup_nor_a_place() {
        let name = "<img src=x onerror=\"a\"> & 'b' {{link}}";
        for notice in all_notices() {
            let letter = write(&mail("a&b'c@example.com", name, notice), &links());
            let safe = "Hello &lt;img src=x onerror=&quot;a&quot;&gt; &amp; &#39;b&#39; {{link}},";
            assert!(letter.html.contains(safe), "{}", letter.html);
            assert!(letter.html.contains("a&amp;b&#39;c@example.com"), "{}", letter.html);
            assert!(letter.text.contains(&format!("Hello {name},")), "{}", letter.text);
        }
    }

    #[test]
    fn a_letter_speaks_of_the_app_and_leads_on_to_it_where_nothing_is_left_to_do() {
        let app = Link::parse("https://www.example.com/?a=1&b=2").ok();
        let links = Links { service: "Ex<b> & {{link}}".to_owned(), app, ..links() };
        for notice in all_notices() {
            let leads_on = matches!(notice, Notice::AlreadyRegistered);
            let letter = write(&mail("ada@example.com", "", notice), &links);
            assert!(letter.subject.ends_with("Ex<b> & {{link}}"), "{}", letter.subject);
            assert!(letter.text.contains("at Ex<b> & {{link}}"), "{}", letter.text);
            assert!(letter.html.contains("at Ex&lt;b&gt; &amp; {{link}}"), "{}", letter.html);
            let line = "\n\nGo to Ex<b> & {{link}}: https://www.example.com/?a=1&b=2\n\n";
            assert_eq!(letter.text.contains(line), leads_on, "{}", letter.text);
            let link =
                "<a href=\"https://www.example.com/?a=1&amp;b=2\">Go to Ex&lt;b&gt; &amp; {{link}}</a>";
            assert_eq!(letter.html.contains(link), leads_on, "{}", letter.html);
        }
    }

    #[test]
    fn a_test_letter_names_the_app_and_its_reader() {
        let letter = test_letter("Ex<b>", &Email::parse("ada&b@example.com").unwrap());
        assert_eq!(letter.subject, "A test mail of Ex<b>");
        assert!(letter.text.contains("of Ex<b> to ada&b@example.com,"), "{}", letter.text);
        assert!(letter.html.contains("of Ex&lt;b&gt; to ada&amp;b@example.com,"), "{}", letter.html);
    }

    #[test]
    fn no_letter_loads_anything_from_anywhere() {
        for notice in all_notices() {
            let html = write(&mail("ada@example.com", "", notice), &links()).html;
            for foreign in ["<img", "src=", "<script", "<link", "url(", "@import"] {
                assert!(!html.contains(foreign), "{foreign}");
            }
        }
    }

    #[test]
    fn spans_are_spoken() {
        for (seconds, words) in [
            (1, "1 second"),
            (90, "90 seconds"),
            (60, "1 minute"),
            (600, "10 minutes"),
            (5400, "90 minutes"),
            (86_400, "1 day"),
        ] {
            assert_eq!(spoken(Duration::from_secs(seconds)), words);
        }
    }
}
