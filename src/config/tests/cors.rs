//! Whose pages may use the API.

use super::*;

fn origins(text: &str) -> Given {
    given().variable("HALLPASS_CORS__ORIGINS", text)
}

fn listed(given: &Given) -> Vec<String> {
    match given.settings().cors.origins {
        CorsOrigins::Listed(origins) => origins.iter().map(ToString::to_string).collect(),
        CorsOrigins::Any => vec!["*".to_owned()],
    }
}

#[test]
fn no_page_elsewhere_may_unless_its_origin_is_set() {
    assert!(listed(&given()).is_empty());
    assert!(listed(&origins("")).is_empty());
    let two = ["https://app.example.com", "capacitor://localhost"];
    assert_eq!(listed(&origins("https://app.example.com, capacitor://localhost")), two);
    let file = "cors.origins = ['https://app.example.com', 'capacitor://localhost']";
    assert_eq!(listed(&given().file(file)), two);
    assert_eq!(listed(&origins("*")), ["*"]);
}

#[test]
fn an_origin_that_no_browser_sends_is_refused_with_what_to_write() {
    for (text, says) in [
        ("https://app.example.com/", "write https://app.example.com"),
        ("https://app.example.com/app", "more in it than scheme, host and port"),
        ("app.example.com", "write origins like https://app.example.com"),
        ("https://App.example.com", "write https://app.example.com"),
        ("https://app.example.com:443", "write https://app.example.com"),
        ("null", "any page can have it"),
        ("https://app.example.com,null", "\"null\""),
        ("https://*.example.com", "is no scheme://host"),
        ("https://app.example.com,", "is no scheme://host"),
        ("*,https://app.example.com", "write `*` alone"),
    ] {
        for mistakes in [origins(text).mistakes_in_dev(), origins(text).mistakes_in_serve()] {
            assert_says(&mistakes, &["cors.origins", says]);
        }
    }
}

#[test]
fn production_is_warned_of_pages_in_the_clear() {
    let warned = |text| production().variable("HALLPASS_CORS__ORIGINS", text).warned(Profile::Serve);
    assert_eq!(warned("http://app.example.com"), ["cors.origins"]);
    assert!(warned("https://app.example.com,http://localhost:5173,capacitor://localhost").is_empty());
    assert!(warned("*").is_empty());
}
