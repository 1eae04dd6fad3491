use poem::http::HeaderValue;

use super::*;

const XFF: &str = "x-forwarded-for";
const FORWARDED: &str = "forwarded";

/// The proxies of all cases: one address, one network of each family. They write this header.
fn proxies(header: ForwardedHeader) -> TrustedProxies {
    let networks = ["127.0.0.1/32", "10.0.0.0/8", "2001:db8:ffff::/48"];
    TrustedProxies::new(&networks.map(|network| network.parse().expect("a network")), header)
}

/// The one that the lines are of.
fn header_of(lines: &[(&'static str, &str)]) -> ForwardedHeader {
    match lines.first() {
        Some((FORWARDED, _)) => ForwardedHeader::Forwarded,
        _ => ForwardedHeader::XForwardedFor,
    }
}

fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, line) in lines {
        let value = HeaderValue::from_bytes(line.as_bytes()).expect("header bytes");
        headers.append(HeaderName::from_static(name), value);
    }
    headers
}

#[track_caller]
fn assert_client(peer: &str, lines: &[(&'static str, &str)], client: &str) {
    let found = proxies(header_of(lines)).client_address(peer.parse().ok(), &headers(lines));
    assert_eq!(found.map(|address| address.to_string()).as_deref(), Some(client), "{peer} {lines:?}");
}

#[test]
fn without_headers_the_client_is_the_peer() {
    for address in ["203.0.113.9", "2001:db8::9", "10.1.2.3", "127.0.0.1"] {
        assert_client(address, &[], address);
    }
    assert_client("::ffff:203.0.113.9", &[], "203.0.113.9");
    assert_eq!(
        proxies(ForwardedHeader::default()).client_address(None, &headers(&[(XFF, "203.0.113.9")])),
        None
    );
}

#[test]
fn whoever_is_no_trusted_proxy_is_not_believed() {
    for peer in ["203.0.113.9", "11.0.0.1", "2001:db8::1", "127.0.0.2"] {
        for line in ["198.51.100.1", "10.0.0.1", "127.0.0.1", "unknown", ""] {
            assert_client(peer, &[(XFF, line)], peer);
            assert_client(peer, &[(FORWARDED, &format!("for={line}"))], peer);
        }
    }
    let nobody = TrustedProxies::default();
    let peer = "127.0.0.1".parse().ok();
    assert_eq!(nobody.client_address(peer, &headers(&[(XFF, "198.51.100.1")])), peer);
}

#[test]
fn the_walk_goes_from_the_right_and_ends_at_the_first_that_is_no_proxy() {
    for (line, client) in [
        ("203.0.113.9", "203.0.113.9"),
        ("198.51.100.1, 203.0.113.9", "203.0.113.9"),
        ("198.51.100.1, 203.0.113.9, 10.0.0.2", "203.0.113.9"),
        ("203.0.113.9,10.0.0.2,10.0.0.3", "203.0.113.9"),
        ("198.51.100.1, 10.0.0.9, 203.0.113.9, 10.0.0.2", "203.0.113.9"),
        ("203.0.113.9, 2001:db8:ffff::2", "203.0.113.9"),
        // Nobody else in it: the farthest is the client.
        ("10.0.0.3, 10.0.0.2", "10.0.0.3"),
    ] {
        assert_client("10.0.0.1", &[(XFF, line)], client);
        let elements: Vec<String> =
            line.split(',').map(|entry| format!("for=\"{}\"", entry.trim())).collect();
        assert_client("10.0.0.1", &[(FORWARDED, &elements.join(", "))], client);
    }
}

#[test]
fn what_a_client_writes_itself_is_left_of_what_its_proxy_adds() {
    for claim in ["127.0.0.1", "10.0.0.1", "198.51.100.1", "unknown", "_hidden", "for=1.2.3.4", "\"", "[", ""]
    {
        assert_client("10.0.0.1", &[(XFF, &format!("{claim}, 203.0.113.9"))], "203.0.113.9");
        assert_client("10.0.0.1", &[(XFF, claim), (XFF, "203.0.113.9")], "203.0.113.9");
        assert_client("10.0.0.1", &[(FORWARDED, claim), (FORWARDED, "for=203.0.113.9")], "203.0.113.9");
    }
}

/// An open quotation swallows what the proxy appends to the same line. Nothing that the client wrote
/// may come of it.
#[test]
fn a_quotation_that_swallows_the_proxys_entry_gains_nothing() {
    for claim in ["for=\"", "for=198.51.100.1;x=\"", "for=\"198.51.100.1", "for=\"198.51.100.1\\"] {
        for appended in ["for=203.0.113.9", "for=\"203.0.113.9\"", "for=\"[2001:db8::9]:47\";by=\"10.0.0.1\""]
        {
            let line = format!("{claim}, {appended}");
            let proxies = proxies(ForwardedHeader::Forwarded);
            let found = proxies.client_address("10.0.0.1".parse().ok(), &headers(&[(FORWARDED, &line)]));
            let found = found.map(|address| address.to_string());
            assert_ne!(found.as_deref(), Some("198.51.100.1"), "{line}");
        }
    }
}

#[test]
fn nodes_come_with_ports_and_brackets() {
    for (node, client) in [
        ("203.0.113.9:4711", "203.0.113.9"),
        ("203.0.113.9:_secret", "203.0.113.9"),
        ("2001:db8::9", "2001:db8::9"),
        ("[2001:db8::9]", "2001:db8::9"),
        ("[2001:db8::9]:4711", "2001:db8::9"),
        ("[2001:DB8::9]:_p.1-x", "2001:db8::9"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
        ("[::ffff:203.0.113.9]:1", "203.0.113.9"),
    ] {
        assert_client("10.0.0.1", &[(XFF, node)], client);
        assert_client("10.0.0.1", &[(FORWARDED, &format!("for={node}"))], client);
        assert_client("10.0.0.1", &[(FORWARDED, &format!("for=\"{node}\""))], client);
    }
}

#[test]
fn an_entry_that_is_no_address_ends_the_walk() {
    for bad in [
        "unknown",
        "_hidden",
        "",
        " ",
        "localhost",
        "203.0.113",
        "203.0.113.999",
        "203.0.113.09",
        "203.0.113.9:",
        "203.0.113.9:65536",
        "203.0.113.9:-1",
        "203.0.113.9:+1",
        "203.0.113.9:_",
        "203.0.113.9/32",
        "203.0.113.9 x",
        "[2001:db8::9",
        "2001:db8::9]",
        "[2001:db8::9]4711",
        "[2001:db8::9]:",
        "[203.0.113.9]",
        "fe80::1%eth0",
        "2001:db8::9::1",
        "0x7f000001",
        "ü",
    ] {
        assert_client("10.0.0.1", &[(XFF, bad)], "10.0.0.1");
        assert_client("10.0.0.1", &[(XFF, &format!("198.51.100.1, {bad}, 10.0.0.2"))], "10.0.0.2");
        let quoted = format!("for=198.51.100.1, for=\"{bad}\", for=10.0.0.2");
        assert_client("10.0.0.1", &[(FORWARDED, &quoted)], "10.0.0.2");
    }
}

#[test]
fn an_element_is_read_as_rfc_7239_says() {
    for good in [
        "for=203.0.113.9",
        "For=203.0.113.9",
        "FOR=\"203.0.113.9\"",
        "for=203.0.113.9;proto=http;by=203.0.113.43",
        "proto=https; for=203.0.113.9 ;host=\"a, b;c=\\\"d\\\"\"",
        "by=_x;for=\"203\\.0.113.9\"",
        ";for=203.0.113.9;",
    ] {
        assert_client("10.0.0.1", &[(FORWARDED, good)], "203.0.113.9");
    }
    for bad in [
        "proto=https",
        "203.0.113.9",
        "for=",
        "for",
        "for=203.0.113.9;for=203.0.113.9",
        "for =203.0.113.9",
        "for= 203.0.113.9",
        "for=203.0.113.9;=x",
        "for=203.0.113.9;x",
        "for=203.0.113.9;x=\"y",
        "for=203.0.113.9;x=\"y\"z",
        "for=\"203.0.113.9\"4",
        "for=203.0.113.9;b y=x",
    ] {
        assert_client("10.0.0.1", &[(FORWARDED, bad)], "10.0.0.1");
    }
}

#[test]
fn several_lines_are_one_list() {
    let lines = [(XFF, "198.51.100.1"), (XFF, "203.0.113.9, 10.0.0.4"), (XFF, "10.0.0.3,10.0.0.2")];
    assert_client("10.0.0.1", &lines, "203.0.113.9");
    let lines = [(FORWARDED, "for=198.51.100.1"), (FORWARDED, "for=203.0.113.9, for=10.0.0.4")];
    assert_client("10.0.0.1", &lines, "203.0.113.9");
}

#[test]
fn the_header_that_proxies_do_not_write_is_ignored() {
    let (forwarded, xff) = (("forwarded", "for=203.0.113.9"), (XFF, "198.51.100.1"));
    for (header, lines, client) in [
        (ForwardedHeader::XForwardedFor, &[forwarded, xff][..], "198.51.100.1"),
        (ForwardedHeader::Forwarded, &[forwarded, xff], "203.0.113.9"),
        // What a client made up hides nobody.
        (ForwardedHeader::XForwardedFor, &[forwarded], "10.0.0.1"),
        (ForwardedHeader::Forwarded, &[xff], "10.0.0.1"),
        (ForwardedHeader::XForwardedFor, &[("forwarded", "for=unknown"), xff], "198.51.100.1"),
        (ForwardedHeader::Forwarded, &[forwarded, (XFF, "")], "203.0.113.9"),
    ] {
        let found = proxies(header).client_address("10.0.0.1".parse().ok(), &headers(lines));
        assert_eq!(found.map(|address| address.to_string()).as_deref(), Some(client), "{header:?} {lines:?}");
    }
}

#[test]
fn a_trusted_proxy_that_writes_the_other_header_is_told_of() {
    let proxies = proxies(ForwardedHeader::XForwardedFor);
    let ask = |lines: &[(&'static str, &str)]| {
        proxies.client_address("10.0.0.1".parse().ok(), &headers(lines));
        proxies.warned.load(Ordering::Relaxed)
    };
    assert!(!ask(&[]));
    assert!(!ask(&[(XFF, "203.0.113.9"), (FORWARDED, "for=198.51.100.1")]));
    assert!(ask(&[(FORWARDED, "for=203.0.113.9")]));
}

#[test]
fn long_lists_are_walked_to_their_end() {
    let proxies: Vec<String> = (0..1000).map(|n| format!("10.0.{}.{}", n / 256, n % 256)).collect();
    let line = format!("198.51.100.1, 203.0.113.9, {}", proxies.join(", "));
    assert_client("10.0.0.1", &[(XFF, &line)], "203.0.113.9");
    let line = format!("for=203.0.113.9, for={}", proxies.join(",for="));
    assert_client("10.0.0.1", &[(FORWARDED, &line)], "203.0.113.9");
    assert_client("10.0.0.1", &[(XFF, &",".repeat(16_000))], "10.0.0.1");
    assert_client("10.0.0.1", &[(FORWARDED, &"\"".repeat(15_999))], "10.0.0.1");
}

#[test]
fn only_a_peer_of_ones_own_network_is_taken_for_a_proxy_that_was_forgotten() {
    let proxies = TrustedProxies::default();
    let forwarded = headers(&[(XFF, "203.0.113.9")]);
    proxies.client_address("203.0.113.1".parse().ok(), &forwarded);
    proxies.client_address("10.0.0.1".parse().ok(), &HeaderMap::new());
    assert!(!proxies.warned.load(Ordering::Relaxed));
    proxies.client_address("10.0.0.1".parse().ok(), &forwarded);
    assert!(proxies.warned.load(Ordering::Relaxed));
}
