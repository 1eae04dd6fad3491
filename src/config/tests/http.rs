//! The settings of connections.

use super::*;

#[test]
fn connections_have_bounds_unless_somebody_chooses_others() {
    let http = given().settings().http;
    assert_eq!((http.max_connections, http.max_connections_per_address), (8192, 2048));
    let spans = [http.keep_alive, http.header_timeout, http.write_timeout];
    assert_eq!(spans.map(|span| span.as_secs()), [75, 10, 30]);
    let feed = given().settings().feed;
    assert_eq!((feed.max_streams, feed.max_streams_per_client), (6000, 6000));

    let http = given().file("[http]\nmax_connections = 128\nkeep_alive = '1s'").settings().http;
    assert_eq!((http.max_connections, http.keep_alive.as_secs()), (128, 1));
    for assignment in [
        "http.max_connections=127",
        "http.max_connections_per_address=0",
        "http.keep_alive=999ms",
        "http.keep_alive=61m",
        "http.header_timeout=0s",
        "http.header_timeout=6m",
        "http.write_timeout=0s",
        "feed.max_streams=0",
        "feed.max_streams_per_client=-1",
    ] {
        let (key, _) = assignment.split_once('=').unwrap();
        let mistakes = given().set(assignment).mistakes_in_dev();
        assert_says(&mistakes, &["1 mistake", key]);
    }
}

#[test]
fn one_header_says_where_requests_come_from() {
    assert_eq!(given().settings().forwarded_header, ForwardedHeader::XForwardedFor);
    let header = |text| given().variable("HALLPASS_FORWARDED_HEADER", text);
    assert_eq!(header("forwarded").settings().forwarded_header, ForwardedHeader::Forwarded);
    assert_says(
        &header("x-real-ip").mistakes_in_dev(),
        &["forwarded_header", "x-forwarded-for or forwarded"],
    );
}

#[test]
fn names_of_dev_have_no_ports() {
    let hosts = |text| given().variable("HALLPASS_DEV__ALLOWED_HOSTS", text);
    assert!(given().settings().dev.allowed_hosts.is_empty());
    assert_eq!(hosts("Hallpass, auth.test").settings().dev.allowed_hosts, ["hallpass", "auth.test"]);
    let list = given().file("dev.allowed_hosts = ['hallpass', 'auth.test']");
    assert_eq!(list.settings().dev.allowed_hosts, ["hallpass", "auth.test"]);
    for bad in ["hallpass:8080", "http://hallpass", "a b", "hallpass,"] {
        assert_says(&hosts(bad).mistakes_in_dev(), &["dev.allowed_hosts"]);
    }
}
