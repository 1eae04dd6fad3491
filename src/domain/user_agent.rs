//! What of a `User-Agent` tells its owner which device it was.

/// How much of one is kept, in bytes: there is one in each session.
const MAX_BYTES: usize = 64;

/// Stands where something was left out.
const CUT: char = '…';

/// As many bytes as a comment keeps at least, so that it says something.
const COMMENT_MIN_BYTES: usize = 16;

/// At most 64 bytes of it, in whole characters. One that fits stays as it is. Of a browser's the words go that all
/// browsers write (RFC 9110 10.1.5: products, and comments in brackets), then those that name what it is made of,
/// then the end of the comment that names the platform: its name and version are what it is known by. What is too
/// long all the same, and all that is no browser's, is cut at its end. A `…` stands where it was cut.
pub fn shorten(user_agent: &str) -> String {
    if user_agent.len() <= MAX_BYTES {
        return user_agent.to_owned();
    }
    if !user_agent.starts_with("Mozilla/5.0 ") {
        return cut(user_agent, MAX_BYTES);
    }
    let mut parts = parts(user_agent);
    let named = Named::among(&parts);
    parts.retain(|part| !is_said_by_all(part, named));
    if length(&parts) > MAX_BYTES {
        parts.retain(|part| !is_made_of(part, named));
    }
    match parts.is_empty() {
        true => cut(user_agent, MAX_BYTES),
        false => cut(&with_room(&parts).join(" "), MAX_BYTES),
    }
}

/// Which browser is named beside those that the others pass themselves off as.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Named {
    /// None but Safari.
    Nothing,
    /// Chrome, or what is built from it and says no more.
    Chrome,
    /// One with a name of its own.
    Other,
}

impl Named {
    fn among(parts: &[&str]) -> Self {
        let products = parts.iter().filter(|part| !part.starts_with('('));
        let names = products.filter_map(|product| Some(product.split_once('/')?.0));
        names.fold(Self::Nothing, |named, name| match name {
            "Mozilla" | "AppleWebKit" | "Gecko" | "Version" | "Mobile" | "Safari" => named,
            "Chrome" if named == Self::Nothing => Self::Chrome,
            "Chrome" => named,
            _ => Self::Other,
        })
    }
}

fn is_said_by_all(part: &str, named: Named) -> bool {
    matches!(part, "Mozilla/5.0" | "(KHTML, like Gecko)")
        || part.starts_with("AppleWebKit/")
        || part.starts_with("Gecko/")
        || (part.starts_with("Safari/") && named != Named::Nothing)
}

fn is_made_of(part: &str, named: Named) -> bool {
    part == "Mobile"
        || part.starts_with("Mobile/")
        || (part.starts_with("Version/") && named != Named::Nothing)
        || (part.starts_with("Chrome/") && named == Named::Other)
}

/// Products, and comments with all that is nested in them.
fn parts(user_agent: &str) -> Vec<&str> {
    let mut depth = 0_usize;
    let parts = user_agent.split(|c| {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ => (),
        }
        c == ' ' && depth == 0
    });
    parts.filter(|part| !part.is_empty()).collect()
}

/// The parts, with as much less of the first comment as they are too long together.
fn with_room(parts: &[&str]) -> Vec<String> {
    let excess = length(parts).saturating_sub(MAX_BYTES);
    let mut parts: Vec<String> = parts.iter().map(|part| (*part).to_owned()).collect();
    let comment = parts.iter_mut().find(|part| part.starts_with('(') && part.ends_with(')'));
    if let Some(comment) = comment.filter(|comment| excess > 0 && comment.len() >= excess + COMMENT_MIN_BYTES)
    {
        let room = comment.len() - excess - ")".len();
        *comment = cut(&comment[..comment.len() - ")".len()], room) + ")";
    }
    parts
}

/// How long they are with a blank between each two.
fn length(parts: &[&str]) -> usize {
    parts.iter().map(|part| part.len() + 1).sum::<usize>().saturating_sub(1)
}

/// As much as fits of a text that is longer, and that it was longer.
fn cut(text: &str, max_bytes: usize) -> String {
    if text.len() <= max_bytes {
        return text.to_owned();
    }
    let room = max_bytes.saturating_sub(CUT.len_utf8());
    let end = (0..=room).rev().find(|end| text.is_char_boundary(*end)).unwrap_or_default();
    let mut kept = text[..end].trim_end_matches([' ', ';', ',']).to_owned();
    kept.push(CUT);
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn platform_and_browser_with_its_version_still_show() {
        for (sent, kept) in [
            // Chrome.
            (
                "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/138.0.0.0 Safari/537.36",
                "(X11; Linux x86_64) Chrome/138.0.0.0",
            ),
            (
                "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/138.0.0.0 Safari/537.36",
                "(Macintosh; Intel Mac OS X 10_15_7) Chrome/138.0.0.0",
            ),
            (
                "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/138.0.0.0 Mobile Safari/537.36",
                "(Linux; Android 10; K) Chrome/138.0.0.0 Mobile",
            ),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) CriOS/138.0.7204.53 Mobile/15E148 Safari/604.1",
                "(iPhone; CPU iPhone OS 18_5 like Mac OS X) CriOS/138.0.7204.53",
            ),
            // In an app, on Android.
            (
                "Mozilla/5.0 (Linux; Android 15; Pixel 9 Build/BP1A.250505.005; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/138.0.7204.63 Mobile Safari/537.36",
                "(Linux; Android 15; Pixel 9 Build/BP1A.…) Chrome/138.0.7204.63",
            ),
            (
                "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) SamsungBrowser/28.0 Chrome/130.0.0.0 Mobile Safari/537.36",
                "(Linux; Android 10; K) SamsungBrowser/28.0",
            ),
            // Firefox.
            (
                "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
                "(X11; Linux x86_64; rv:140.0) Firefox/140.0",
            ),
            (
                "Mozilla/5.0 (Android 15; Mobile; rv:140.0) Gecko/140.0 Firefox/140.0",
                "(Android 15; Mobile; rv:140.0) Firefox/140.0",
            ),
            // Safari.
            (
                "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Safari/605.1.15",
                "(Macintosh; Intel Mac OS X 10_15_7) Version/18.5 Safari/605.1.15",
            ),
            (
                "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5.1 Safari/605.1.15",
                "(Macintosh; Intel Mac OS X 10…) Version/18.5.1 Safari/605.1.15",
            ),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Mobile/15E148 Safari/604.1",
                "(iPhone; CPU iPhone OS 18_5 like M…) Version/18.5 Safari/604.1",
            ),
            // Edge and Opera.
            (
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/138.0.0.0 Safari/537.36 Edg/138.0.0.0",
                "(Windows NT 10.0; Win64; x64) Chrome/138.0.0.0 Edg/138.0.0.0",
            ),
            (
                "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/138.0.0.0 Safari/537.36 Edg/138.0.0.0",
                "(Macintosh; Intel Mac OS X 10_15_7) Edg/138.0.0.0",
            ),
            (
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/137.0.0.0 Safari/537.36 OPR/121.0.0.0",
                "(Windows NT 10.0; Win64; x64) Chrome/137.0.0.0 OPR/121.0.0.0",
            ),
            // A crawler, whose name stands in a comment.
            (
                "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; Googlebot/2.1; +http://www.google.com/bot.html) Chrome/138.0.7204.49 Safari/537.36",
                "(KHTML, like Gecko; compatible; Googleb…) Chrome/138.0.7204.49",
            ),
        ] {
            assert_eq!(shorten(sent), kept);
            assert_eq!(shorten(kept), kept, "what is kept stays");
        }
    }

    #[test]
    fn one_that_fits_stays_as_it_is() {
        for text in [
            "",
            "curl/8.5.0",
            "okhttp/4.12.0",
            "python-httpx/0.28.1",
            "Mozilla/5.0 (KHTML, like Gecko) Safari/537.36",
            "Müller/1.0 🦀",
            &"a".repeat(64),
            &"ü".repeat(32),
        ] {
            assert_eq!(shorten(text), text);
        }
    }

    #[test]
    fn one_of_no_browser_is_cut_at_its_end_in_whole_characters() {
        for (sent, kept) in [
            ("a".repeat(65), format!("{}…", "a".repeat(61))),
            ("ü".repeat(33), format!("{}…", "ü".repeat(30))),
            (format!("a{}", "🦀".repeat(16)), format!("a{}…", "🦀".repeat(15))),
            (format!("{}; b{}", "a".repeat(59), "c".repeat(9)), format!("{}…", "a".repeat(59))),
            (
                "MyApp/3.1 (com.example.my-app; build:512; iOS 18.5.0) Alamofire/5.10.2".to_owned(),
                "MyApp/3.1 (com.example.my-app; build:512; iOS 18.5.0) Alamofi…".to_owned(),
            ),
        ] {
            assert_eq!(shorten(&sent), kept);
        }
    }

    /// Anybody can write any.
    #[test]
    fn whatever_comes_there_are_at_most_64_bytes_and_something_of_it_is_left() {
        let of_8_kb = |piece: &str| format!("Mozilla/5.0 {}", piece.repeat(8192 / piece.len()));
        for (sent, kept) in [
            (of_8_kb("("), format!("{}…", "(".repeat(61))),
            (of_8_kb(")"), format!("{}…", ")".repeat(61))),
            (
                of_8_kb("Mozilla/5.0 "),
                "Mozilla/5.0 Mozilla/5.0 Mozilla/5.0 Mozilla/5.0 Mozilla/5.0 M…".to_owned(),
            ),
            (of_8_kb("(a) "), format!("{}(…", "(a) ".repeat(15))),
            (of_8_kb("Edg/1 "), format!("{}E…", "Edg/1 ".repeat(10))),
            (format!("{})", of_8_kb("(🦀")), format!("{}…)", "(🦀".repeat(12))),
            (
                format!("Mozilla/5.0 ({}) Firefox/140.0", "ü".repeat(4096)),
                format!("({}…) Firefox/140.0", "ü".repeat(22)),
            ),
        ] {
            assert_eq!(shorten(&sent), kept);
            assert!(kept.len() <= 64, "{kept}");
        }
    }
}
