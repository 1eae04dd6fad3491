//! Mails.

use super::*;

/// A mail server that production may use.
fn with_smtp() -> Given {
    production()
        .variable("HALLPASS_SMTP__HOST", "smtp.example.com")
        .variable("HALLPASS_SMTP__FROM", "Example <no-reply@example.com>")
}

#[test]
fn serve_mails_reset_tokens_once_it_knows_a_mail_server() {
    let settings = with_smtp().load(Profile::Serve, Purpose::Start).unwrap().settings;
    assert_eq!(settings.reset.delivery, ResetDelivery::Smtp);
    let smtp = settings.smtp;
    assert_eq!((smtp.port, smtp.tls), (Some(587), SmtpTls::StartTls));
    let off = with_smtp().variable("HALLPASS_RESET__DELIVERY", "off").load(Profile::Serve, Purpose::Start);
    assert_eq!(off.unwrap().settings.reset.delivery, ResetDelivery::Off);
    let in_dev = given()
        .variable("HALLPASS_SMTP__HOST", "localhost")
        .variable("HALLPASS_SMTP__FROM", "a@b.example")
        .variable("HALLPASS_SMTP__TLS", "none")
        .settings();
    assert_eq!(in_dev.reset.delivery, ResetDelivery::Response);
    assert_eq!(in_dev.smtp.port, Some(25));
}

#[test]
fn mails_go_in_the_clear_to_this_machine_or_where_somebody_means_it() {
    let plain = || with_smtp().variable("HALLPASS_SMTP__TLS", "none");
    assert_says(&plain().mistakes_in_serve(), &["1 mistake", "smtp.tls", "in the clear"]);
    for host in ["localhost", "127.0.0.1", "::1"] {
        assert!(plain().variable("HALLPASS_SMTP__HOST", host).warned(Profile::Serve).is_empty(), "{host}");
    }
    let meant = plain().variable("HALLPASS_SMTP__DANGER_PLAINTEXT", "true");
    assert_eq!(meant.warned(Profile::Serve), ["smtp.danger_plaintext"]);
}

#[test]
fn links_lead_below_the_public_url_unless_somebody_says_otherwise() {
    let settings = with_smtp().load(Profile::Serve, Purpose::Start).unwrap().settings;
    let issuer = settings.issuer("127.0.0.1:80".parse().unwrap());
    let links =
        [settings.reset_link(&issuer), settings.verification_link(&issuer)].map(|link| link.with("T"));
    let page = |name| format!("https://auth.example.com/{name}#token=T");
    assert_eq!(links, [page("reset-password"), page("verify-email")]);
    for (key, url, warned) in [
        ("HALLPASS_RESET__URL", "https://app.example.com/#/reset/{token}", &[][..]),
        ("HALLPASS_RESET__URL", "https://app.example.com/reset?token={token}", &["reset.url"]),
        ("HALLPASS_VERIFICATION__URL", "http://app.example.com/#{token}", &["verification.url"]),
    ] {
        assert_eq!(with_smtp().variable(key, url).warned(Profile::Serve), warned, "{url}");
    }
}

#[test]
fn an_app_is_called_by_the_host_of_the_public_url_unless_it_has_a_name() {
    let listen = "127.0.0.1:80".parse().unwrap();
    let named = |given: Given| {
        let settings = given.load(Profile::Serve, Purpose::Start).unwrap().settings;
        let url = settings.app.url.as_ref().map(|url| url.as_str().to_owned());
        (settings.app_name(&settings.issuer(listen)), url)
    };
    assert_eq!(named(with_smtp()), ("auth.example.com".to_owned(), None));
    let given = with_smtp()
        .variable("HALLPASS_APP__NAME", "Example & Co")
        .variable("HALLPASS_APP__URL", "https://www.example.com/login");
    assert_eq!(named(given), ("Example & Co".to_owned(), Some("https://www.example.com/login".to_owned())));
    let bad = with_smtp().variable("HALLPASS_APP__URL", "javascript:alert(1)");
    assert_says(&bad.mistakes_in_serve(), &["1 mistake", "app.url", "http"]);
}

#[test]
fn what_is_not_set_is_worked_out_as_config_dump_says() {
    let given = with_smtp().variable("HALLPASS_SMTP__FROM", "\"Example, Inc.\" <no-reply@bücher.example>");
    let dump = dump(&given.load(Profile::Serve, Purpose::Start).unwrap().values);
    for line in ["smtp.helo_name = \"xn--bcher-kva.example\"", "app.name = \"auth.example.com\""] {
        assert!(dump.contains(line), "{line} is missing:\n{dump}");
    }
}

#[test]
fn dev_shows_its_mails_where_there_is_no_server_for_them() {
    let both = |given: Given| {
        let given = given.variable("HALLPASS_RESET__DELIVERY", "smtp");
        given.variable("HALLPASS_REGISTRATION__VERIFY_EMAIL", "true").load(Profile::Dev, Purpose::Start)
    };
    assert!(both(given()).unwrap().settings.shows_mails());
    let server = given().variable("HALLPASS_SMTP__HOST", "127.0.0.1");
    let server = server.variable("HALLPASS_SMTP__FROM", "no-reply@example.com");
    assert!(!both(server).unwrap().settings.shows_mails());
    assert!(!production().load(Profile::Serve, Purpose::Start).unwrap().settings.shows_mails());
}

#[test]
fn concealment_stands_on_verification_and_that_on_mails() {
    let both = |given: Given| {
        given
            .variable("HALLPASS_REGISTRATION__VERIFY_EMAIL", "true")
            .variable("HALLPASS_REGISTRATION__CONCEAL_EXISTING", "true")
    };
    both(with_smtp()).load(Profile::Serve, Purpose::Start).unwrap();
    assert_says(&both(production()).mistakes_in_serve(), &["1 mistake", "registration.verify_email"]);
}
