//! Paths in Rust source, and where they lead.

use std::collections::{HashMap, HashSet};

use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// The module that a source text is the text of.
pub struct Module<'a> {
    /// The crate's name as other crates write it.
    pub crate_name: &'a str,
    /// The names from the crate's root to the module.
    pub path: &'a [String],
}

/// A path and where it leads.
#[derive(Debug)]
pub struct Reach {
    /// Where it leads.
    pub target: Target,
    /// The path as written, with what stands before the braces of a `use`.
    pub written: String,
}

/// Where a path leads.
#[derive(Debug)]
pub enum Target {
    /// To another crate.
    Outside(String),
    /// Into the same crate.
    Inside {
        /// The names from its root.
        path: Vec<String>,
        /// Whether all that is there is meant.
        glob: bool,
    },
}

/// Every path in a source text, traced.
///
/// # Panics
/// When the text is no Rust.
pub fn reaches(source: &str, module: &Module<'_>) -> Vec<Reach> {
    let tokens: TokenStream = source.parse().expect("Rust source");
    let mut found = Found::default();
    found.walk(tokens, module.path.to_vec());
    found.paths.iter().flat_map(|path| found.trace(path, module)).collect()
}

/// A path as it stands in the text.
#[derive(Clone)]
struct Written {
    /// The names in order; a glob ends in `*`.
    names: Vec<String>,
    /// Whether it begins with `::`, which always names a crate.
    absolute: bool,
    /// The module around it, inline modules included.
    place: Vec<String>,
}

#[derive(Default)]
struct Found {
    paths: Vec<Written>,
    /// What `use` lines call things, for the whole file: scopes are not told apart, which at worst
    /// finds too much.
    names: HashMap<String, Vec<Written>>,
    /// Modules that the file declares.
    modules: HashSet<String>,
}

impl Found {
    fn walk(&mut self, tokens: TokenStream, place: Vec<String>) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        let mut at = 0;
        while let Some(token) = tokens.get(at) {
            match token {
                // `use<'a>` in a bound is no import.
                TokenTree::Ident(word) if word == "use" && !is_punct(tokens.get(at + 1), '<') => {
                    at = self.take_use(&tokens, at + 1, &place);
                }
                TokenTree::Ident(word) if word == "mod" => {
                    let Some(TokenTree::Ident(name)) = tokens.get(at + 1) else {
                        at += 1;
                        continue;
                    };
                    self.modules.insert(name.to_string());
                    at += 2;
                    if let Some(TokenTree::Group(body)) = tokens.get(at) {
                        let inside = place.iter().cloned().chain([name.to_string()]).collect();
                        self.walk(body.stream(), inside);
                        at += 1;
                    }
                }
                TokenTree::Ident(word)
                    if word == "crate" && is_ident(tokens.get(at.wrapping_sub(1)), "extern") =>
                {
                    // `extern crate name`: as good as a use of it.
                    if let Some(TokenTree::Ident(name)) = tokens.get(at + 1) {
                        self.add(vec![name.to_string()], true, &place);
                    }
                    at += 2;
                }
                TokenTree::Ident(_) => {
                    let absolute = at >= 2 && is_colons(&tokens, at - 2);
                    let (names, next) = path_from(&tokens, at);
                    let is_field = is_punct(tokens.get(at.wrapping_sub(1)), '.');
                    if !is_field && (names.len() > 1 || absolute) {
                        self.add(names, absolute, &place);
                    }
                    at = next;
                }
                TokenTree::Group(group) => {
                    self.walk(group.stream(), place.clone());
                    at += 1;
                }
                TokenTree::Punct(_) | TokenTree::Literal(_) => at += 1,
            }
        }
    }

    fn add(&mut self, names: Vec<String>, absolute: bool, place: &[String]) {
        self.paths.push(Written { names, absolute, place: place.to_vec() });
    }

    /// Reads what stands behind `use`; answers where it ends.
    fn take_use(&mut self, tokens: &[TokenTree], start: usize, place: &[String]) -> usize {
        let length = tokens[start..].iter().take_while(|token| !is_punct(Some(token), ';')).count();
        self.take_tree(&tokens[start..start + length], &[], false, place);
        start + length
    }

    /// Reads one tree of a `use` line: `a::b`, `a::b as c`, `a::*`, `a::{…}`.
    fn take_tree(&mut self, tokens: &[TokenTree], prefix: &[String], absolute: bool, place: &[String]) {
        if tokens.is_empty() {
            return;
        }
        let leading = is_colons(tokens, 0);
        let absolute = absolute || leading;
        let mut at = if leading { 2 } else { 0 };
        let mut names = prefix.to_vec();
        loop {
            match tokens.get(at) {
                Some(TokenTree::Ident(name)) => names.push(name.to_string()),
                Some(TokenTree::Punct(star)) if star.as_char() == '*' => names.push("*".to_owned()),
                Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Brace => {
                    let inside: Vec<TokenTree> = group.stream().into_iter().collect();
                    for tree in inside.split(|token| is_punct(Some(token), ',')) {
                        self.take_tree(tree, &names, absolute, place);
                    }
                    return;
                }
                _ => break,
            }
            at += 1;
            if !is_colons(tokens, at) {
                break;
            }
            at += 2;
        }
        if names.len() > 1 && names.last().is_some_and(|last| last == "self") {
            names.pop();
        }
        let renamed = match (tokens.get(at), tokens.get(at + 1)) {
            (Some(TokenTree::Ident(word)), Some(TokenTree::Ident(name))) if word == "as" => name.to_string(),
            _ => names.last().cloned().unwrap_or_default(),
        };
        self.add(names, absolute, place);
        if let Some(path) = self.paths.last() {
            self.names.entry(renamed).or_default().push(path.clone());
        }
    }

    fn trace(&self, path: &Written, module: &Module<'_>) -> Vec<Reach> {
        let written = format!("{}{}", if path.absolute { "::" } else { "" }, path.names.join("::"));
        let targets = self.targets(path, module, &mut HashSet::new());
        targets.into_iter().map(|target| Reach { target, written: written.clone() }).collect()
    }

    /// Where a path may lead. A first name that nothing in the file explains, a type's or a local
    /// variable's, is taken for a crate's.
    fn targets(&self, path: &Written, module: &Module<'_>, seen: &mut HashSet<String>) -> Vec<Target> {
        let Some((first, rest)) = path.names.split_first() else { return Vec::new() };
        match first.as_str() {
            _ if path.absolute => {}
            "crate" => return vec![inside(&[], rest)],
            "self" | "super" => return vec![relative(&path.place, &path.names)],
            name => {
                let imports = self.names.get(name).into_iter().flatten();
                let imports: Vec<&Written> =
                    imports.filter(|import| import.names.first() != Some(first)).collect();
                if !imports.is_empty() && seen.insert(name.to_owned()) {
                    let whole = |import: &Written| Written {
                        names: [import.names.as_slice(), rest].concat(),
                        ..import.clone()
                    };
                    return imports
                        .into_iter()
                        .flat_map(|it| self.targets(&whole(it), module, seen))
                        .collect();
                }
                if self.modules.contains(name) {
                    return vec![inside(module.path, &path.names)];
                }
            }
        }
        let own = first == module.crate_name;
        vec![if own { inside(&[], rest) } else { Target::Outside(first.clone()) }]
    }
}

/// The target at `names` below `place`, where both are in this crate.
fn inside(place: &[String], names: &[String]) -> Target {
    let glob = names.last().is_some_and(|last| last == "*");
    let names = &names[..names.len() - usize::from(glob)];
    Target::Inside { path: [place, names].concat(), glob }
}

/// The target of a path that begins with `self` or `super`.
fn relative(place: &[String], names: &[String]) -> Target {
    let steps = names.iter().take_while(|name| matches!(name.as_str(), "self" | "super")).count();
    let ups = names[..steps].iter().filter(|name| *name == "super").count();
    inside(&place[..place.len().saturating_sub(ups)], &names[steps..])
}

/// The names of the path that begins at a word, and where it ends.
fn path_from(tokens: &[TokenTree], start: usize) -> (Vec<String>, usize) {
    let mut names = vec![tokens[start].to_string()];
    let mut at = start + 1;
    while is_colons(tokens, at) {
        let Some(TokenTree::Ident(name)) = tokens.get(at + 2) else { break };
        names.push(name.to_string());
        at += 3;
    }
    (names, at)
}

fn is_colons(tokens: &[TokenTree], at: usize) -> bool {
    is_punct(tokens.get(at), ':') && is_punct(tokens.get(at + 1), ':')
}

fn is_punct(token: Option<&TokenTree>, character: char) -> bool {
    matches!(token, Some(TokenTree::Punct(punct)) if punct.as_char() == character)
}

fn is_ident(token: Option<&TokenTree>, word: &str) -> bool {
    matches!(token, Some(TokenTree::Ident(ident)) if ident == word)
}
