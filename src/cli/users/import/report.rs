//! What is said about an import.

use std::path::PathBuf;

use indicatif::ProgressBar;
use serde_json::{Value, json};

use crate::service::user_import::{ImportReport, LineProblem, Place};

/// How many refused entries the JSON report lists; standard error has them all.
const REPORTED_PROBLEMS: usize = 1000;

/// The refused entries.
pub(super) struct Problems {
    pub(super) bar: ProgressBar,
    files: Vec<PathBuf>,
    /// The first of them: of which file, where, and why.
    first: Vec<(usize, Place, LineProblem)>,
}

/// How an import ran.
#[derive(Clone, Copy)]
pub(super) struct Ran {
    pub(super) dry_run: bool,
    pub(super) complete: bool,
}

impl Problems {
    pub(super) fn new(bar: ProgressBar, files: Vec<PathBuf>) -> Self {
        Self { bar, files, first: Vec::new() }
    }

    /// Tells one on standard error. The file is named where there are several.
    pub(super) fn add(&mut self, file: usize, place: Place, problem: LineProblem) {
        let of_file = self.name(file).map(|name| format!("{name}: ")).unwrap_or_default();
        self.bar.suspend(|| eprintln!("{of_file}{place}: {problem}"));
        if self.first.len() < REPORTED_PROBLEMS {
            self.first.push((file, place, problem));
        }
    }

    fn name(&self, file: usize) -> Option<String> {
        let several = self.files.len() > 1;
        self.files.get(file).filter(|_| several).map(|name| name.display().to_string())
    }

    fn json(&self) -> Vec<Value> {
        let entry = |(file, place, problem): &(usize, Place, LineProblem)| {
            let mut entry = match place {
                Place::Line(number) => json!({ "line": number }),
                Place::Element(number) => json!({ "element": number }),
            };
            entry["reason"] = problem.to_string().into();
            if let Some(name) = self.name(*file) {
                entry["file"] = name.into();
            }
            entry
        };
        self.first.iter().map(entry).collect()
    }
}

/// The report, for programs or for people.
pub(super) fn report(report: &ImportReport, problems: &Problems, ran: Ran, as_json: bool) -> String {
    if as_json { json(report, problems, ran) } else { text(report, ran) }
}

fn json(report: &ImportReport, problems: &Problems, ran: Ran) -> String {
    let hashes: serde_json::Map<String, Value> =
        report.hashes.iter().map(|(kind, count)| (kind.to_string(), json!(count))).collect();
    let report = json!({
        "dryRun": ran.dry_run,
        "complete": ran.complete,
        "imported": report.imported,
        "alreadyThere": report.already_there,
        "refused": report.refused,
        "passedOver": report.passed_over,
        "hashes": hashes,
        "mustReset": report.must_reset,
        "disabled": report.disabled,
        "unverified": report.unverified,
        "dearestHashKib": report.dearest_hash_kib,
        "problems": problems.json(),
    });
    format!("{report:#}\n")
}

/// The report for people.
fn text(report: &ImportReport, ran: Ran) -> String {
    let verb = if ran.dry_run { "would be imported" } else { "imported" };
    let ImportReport { imported, already_there, refused, .. } = report;
    let mut lines = vec![format!("{imported} {verb}, {already_there} already there, {refused} refused")];
    lines.extend(report.hashes.iter().map(|(kind, count)| format!("  {kind}: {count}")));
    for (count, what) in [
        (report.must_reset, "no password, must reset"),
        (report.disabled, "disabled"),
        (report.unverified, "address not verified"),
        (report.passed_over, "passed over, about no person or one who was deleted"),
    ] {
        if count > 0 {
            lines.push(format!("  {what}: {count}"));
        }
    }
    if report.dearest_hash_kib > 0 {
        let mib = report.dearest_hash_kib.div_ceil(1024);
        lines.push(format!("  checking the dearest of these hashes takes {mib} MiB"));
    }
    lines.join("\n") + "\n"
}
