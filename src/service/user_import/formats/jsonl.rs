//! hallpass' own form: one JSON object a line, read strictly.

use super::{Entry, Format};
use crate::service::user_import::entries::Layout;
use crate::service::user_import::problem::LineProblem;
use crate::service::user_import::record;

pub(super) const FORMAT: Format = Format {
    name: "jsonl",
    about: "one JSON object a line",
    needs_firebase_project: false,
    layout: Layout::Lines,
    read: |entry, _| match entry {
        Entry::Text(text) => record::given(text).map(Some),
        _ => Err(LineProblem::NotAnObject),
    },
};
