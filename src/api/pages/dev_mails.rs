//! `/dev/mails`: the mails of `hallpass dev` without a mail server, for whoever develops on this machine.
//!
//! Whoever reads them can take over any account, so the page is for a browser or a program of this machine that
//! comes straight here: not for what a proxy or a tunnel leads here, nor for scripts of pages of other origins.

use std::net::{IpAddr, SocketAddr};

use poem::endpoint::make;
use poem::error::NotFoundError;
use poem::http::{HeaderMap, HeaderName, HeaderValue, header};
use poem::{Request, Response, Route, get};

use crate::domain::html::escape;
use crate::mail::{SHOWN_MAX, ShownMail, ShownMails};

/// Where the page is.
pub const PATH: &str = "/dev/mails";

/// What the page may do: look as it does, and lead on.
const CONTENT_SECURITY_POLICY: &str =
    "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const PAGE: &str = include_str!("dev_mails/page.html");

/// What a proxy or a tunnel says of whom it speaks for.
const OF_PROXIES: [HeaderName; 5] = [
    header::FORWARDED,
    header::VIA,
    HeaderName::from_static("x-forwarded-for"),
    HeaderName::from_static("x-forwarded-host"),
    HeaderName::from_static("x-real-ip"),
];

/// Adds the page, if there are mails to show.
pub fn mount(routes: Route, mails: Option<&ShownMails>) -> Route {
    let Some(mails) = mails.cloned() else { return routes };
    routes.at(
        PATH,
        get(make(move |request: Request| {
            let mails = mails.clone();
            async move {
                let peer = request.remote_addr().as_socket_addr().map(SocketAddr::ip);
                answer(peer, request.headers(), &mails)
            }
        })),
    )
}

fn answer(peer: Option<IpAddr>, headers: &HeaderMap, mails: &ShownMails) -> poem::Result<Response> {
    let is_here = peer.is_some_and(|peer| peer.to_canonical().is_loopback());
    if !is_here || !comes_straight(headers) {
        return Err(NotFoundError.into());
    }
    let html = PAGE
        .replace("{{most}}", &SHOWN_MAX.to_string())
        .replace("{{mails}}", &mails.list().iter().map(section).collect::<String>());
    let mut response = Response::builder().content_type("text/html; charset=utf-8").body(html);
    let policy = HeaderValue::from_static(CONTENT_SECURITY_POLICY);
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    Ok(response)
}

/// Whether nobody speaks for somebody else, and no script of another page asks: those name their `Origin`
/// (Fetch 3.1), and following a link does not.
fn comes_straight(headers: &HeaderMap) -> bool {
    !headers.contains_key(header::ORIGIN) && !OF_PROXIES.iter().any(|name| headers.contains_key(name))
}

fn section(mail: &ShownMail) -> String {
    let lines: Vec<String> = mail.letter.text.lines().map(line).collect();
    let (subject, to, text) = (escape(&mail.letter.subject), escape(mail.to.as_str()), lines.join("\n"));
    let date = humantime::format_rfc3339_seconds(mail.date.to_system_time());
    format!("<article>\n<h2>{subject}</h2>\n<p>To {to}, {date}</p>\n<pre>{text}</pre>\n</article>\n")
}

/// A line of a mail; one that is a link leads there. A name has no line of its own, so these are ours.
fn line(text: &str) -> String {
    let shown = escape(text);
    match text.starts_with("https://") || text.starts_with("http://") {
        true => format!("<a href=\"{shown}\">{shown}</a>"),
        false => shown,
    }
}

#[cfg(test)]
mod tests {
    use poem::http::StatusCode;

    use super::*;
    use crate::domain::clock::Timestamp;
    use crate::domain::email::Email;
    use crate::mail::{Letter, Transport};

    async fn one_mail() -> ShownMails {
        let mails = ShownMails::default();
        let letter = Letter {
            subject: "For <b>".to_owned(),
            text: "Hello <img src=x>,\n\nhttp://127.0.0.1:8080/reset-password#token=hp_pr_A&b\n".to_owned(),
            html: String::new(),
        };
        let to = Email::parse("ada&b@example.com").expect("an address");
        let mail = mails.write(letter, &to, "id", Timestamp::from_millis(0)).expect("a mail");
        mails.deliver(&mail).await.expect("room");
        mails
    }

    fn asked(mails: &ShownMails, peer: &str, given: &[(&'static str, &'static str)]) -> Response {
        let pairs = given
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
        answer(peer.parse().ok(), &pairs.collect(), mails).unwrap_or_else(poem::Error::into_response)
    }

    #[tokio::test]
    async fn a_mail_is_text_and_its_link_leads_on() {
        let response = asked(&one_mail().await, "127.0.0.1", &[]);
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.header("content-security-policy"), Some(CONTENT_SECURITY_POLICY));
        let html = response.into_body().into_string().await.expect("text");
        for part in [
            "<h2>For &lt;b&gt;</h2>",
            "To ada&amp;b@example.com, 1970-01-01T00:00:00Z",
            "Hello &lt;img src=x&gt;,",
            "<a href=\"http://127.0.0.1:8080/reset-password#token=hp_pr_A&amp;b\">",
            "the last 50",
        ] {
            assert!(html.contains(part), "{part} is missing in {html}");
        }
        assert!(!html.contains("{{") && !html.contains("<img") && !html.contains("style="), "{html}");
    }

    #[tokio::test]
    async fn mails_are_for_whoever_comes_straight_from_this_machine() {
        let mails = one_mail().await;
        assert_eq!(asked(&mails, "::ffff:127.0.0.1", &[]).status(), StatusCode::OK);
        for (peer, given) in [
            ("192.0.2.7", &[][..]),
            ("127.0.0.1", &[("origin", "http://localhost:3000")]),
            ("127.0.0.1", &[("x-forwarded-for", "127.0.0.1")]),
            ("127.0.0.1", &[("x-forwarded-host", "a.example.com")]),
            ("127.0.0.1", &[("x-real-ip", "192.0.2.7")]),
            ("127.0.0.1", &[("forwarded", "for=192.0.2.7")]),
            ("127.0.0.1", &[("via", "1.1 tunnel")]),
        ] {
            let response = asked(&mails, peer, given);
            assert_eq!(response.status(), StatusCode::NOT_FOUND, "{peer} {given:?}");
        }
        assert_eq!(asked(&mails, "", &[]).status(), StatusCode::NOT_FOUND, "who knows from where");
    }
}
