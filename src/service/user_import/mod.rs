//! Bringing accounts along from another system: entry by entry, in order, in batches.

mod entries;
mod formats;
mod moment;
mod problem;
mod record;

use std::collections::{BTreeMap, HashSet};
use std::hash::{BuildHasher as _, RandomState};
use std::io::BufRead;
use std::sync::Arc;

use formats::Circumstances;

use super::audit::Audit;
use super::error::Result;
use super::token_size::TokenSize;
use crate::crypto::password::HashKind;
use crate::domain::audit::{AuditAction, AuditActor, AuditEntry};
use crate::domain::clock::Clock;
use crate::domain::random::Random;
use crate::domain::user::ImportedUser;
use crate::store::UserStore;

pub use entries::{Entries, EntriesError, Entry, Place};
pub use formats::{FORMATS, FirebaseProject, Format};
pub use problem::LineProblem;

/// How many accounts are written at once: enough that a commit to disk is a small part of the time,
/// few enough that a login which has to write waits milliseconds for the lot.
const BATCH: usize = 500;

/// How to import.
#[derive(Clone, Debug)]
pub struct ImportOptions {
    /// What kind of file the entries are of.
    pub format: &'static Format,
    /// What the project hashes with, whose file it is.
    pub firebase: Option<FirebaseProject>,
    /// Whether entries may name administrators.
    pub allow_admins: bool,
    /// Write nothing; find out what would be.
    pub dry_run: bool,
    /// What measures the accounts' tokens.
    pub size: TokenSize,
}

/// What an import has come to. Whatever is counted as imported is committed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImportReport {
    /// Accounts that were made (in a dry run: that would be).
    pub imported: u64,
    /// Entries whose address or external id had an account, which stays as it is.
    pub already_there: u64,
    /// Entries that were refused.
    pub refused: u64,
    /// Entries that are about no person, or about one who was deleted.
    pub passed_over: u64,
    /// By what the passwords of the accounts in `imported` and `already_there` were hashed.
    pub hashes: BTreeMap<HashKind, u64>,
    /// How many of these accounts came without a password: their owners must reset it.
    pub must_reset: u64,
    /// How many of them are disabled.
    pub disabled: u64,
    /// How many of them have an address that nobody has proven to be theirs.
    pub unverified: u64,
    /// The most memory that checking one of these hashes takes, KiB.
    pub dearest_hash_kib: u32,
}

/// An import that goes on. Addresses and external ids that were seen are remembered by 8 bytes each; apart from that
/// it holds one batch, however long the file is.
///
/// An address that has an account is left as it stands, so an import that was broken off is taken
/// up by running it again.
pub struct UserImport {
    users: Arc<dyn UserStore>,
    clock: Arc<dyn Clock>,
    options: ImportOptions,
    batch: Vec<record::Record>,
    /// A keyed digest of each address and external id: among ten million the chance that two are taken for one is
    /// one in 300,000.
    seen: HashSet<u64>,
    digest: RandomState,
    report: ImportReport,
}

impl UserImport {
    /// An import into this users.
    pub fn new(users: Arc<dyn UserStore>, clock: Arc<dyn Clock>, options: ImportOptions) -> Self {
        Self {
            users,
            clock,
            options,
            batch: Vec::with_capacity(BATCH),
            seen: HashSet::new(),
            digest: RandomState::new(),
            report: ImportReport::default(),
        }
    }

    /// The entries of a file, as this import takes them.
    ///
    /// # Errors
    /// [`EntriesError`] when it is no file of that format.
    pub fn entries<R: BufRead>(format: &Format, reader: R) -> std::result::Result<Entries<R>, EntriesError> {
        Entries::new(format.layout, reader)
    }

    /// Takes one entry; the inner error says why it was refused.
    ///
    /// # Errors
    /// [`Error::Store`](super::error::Error::Store): the batch that the entry would have completed
    /// is not written.
    pub async fn take(&mut self, entry: &Entry) -> Result<Result<(), LineProblem>> {
        match self.read(entry) {
            Ok(None) => {
                self.report.passed_over += 1;
                Ok(Ok(()))
            }
            Ok(Some(record)) => {
                self.batch.push(record);
                if self.batch.len() >= BATCH {
                    self.flush().await?;
                }
                Ok(Ok(()))
            }
            Err(problem) => {
                self.report.refused += 1;
                Ok(Err(problem))
            }
        }
    }

    /// Writes what is left of the last batch.
    ///
    /// # Errors
    /// [`Error::Store`](super::error::Error::Store): it is not written.
    pub async fn finish(&mut self) -> Result<()> {
        self.flush().await
    }

    /// Notes in the audit log how many accounts it has made so far, if any.
    pub fn note(&self, audit: &Audit, random: &dyn Random) {
        if self.options.dry_run || self.report.imported == 0 {
            return;
        }
        let now = self.clock.now();
        let entry = AuditEntry::new(AuditAction::AccountsImported, AuditActor::Operator, now, random);
        audit.record(AuditEntry { count: Some(self.report.imported), ..entry });
    }

    /// What it has come to so far.
    pub fn report(&self) -> &ImportReport {
        &self.report
    }

    fn read(&mut self, entry: &Entry) -> Result<Option<record::Record>, LineProblem> {
        let now = self.clock.now();
        let circumstances = Circumstances { now, firebase: self.options.firebase.as_ref() };
        let Some(given) = self.options.format.read(entry, &circumstances)? else { return Ok(None) };
        let record = given.judge(now, self.options.allow_admins)?;
        let ImportedUser { account, external_id, .. } = &record.user;
        if self.options.size.admit_new(account).is_err() {
            return Err(LineProblem::TokenTooLarge);
        }
        let external_id = external_id.as_ref().map(|id| id.as_str());
        if !self.seen.insert(self.digest.hash_one(("email", account.email.mailbox()))) {
            return Err(LineProblem::Duplicate("email"));
        }
        if external_id.is_some_and(|id| !self.seen.insert(self.digest.hash_one(("external_id", id)))) {
            return Err(LineProblem::Duplicate("external_id"));
        }
        Ok(Some(record))
    }

    async fn flush(&mut self) -> Result<()> {
        if self.batch.is_empty() {
            return Ok(());
        }
        let total = self.batch.len() as u64;
        let users: Vec<ImportedUser> = self.batch.iter().map(|record| record.user.clone()).collect();
        let new = if self.options.dry_run {
            total.saturating_sub(self.users.count_there(&users).await?)
        } else {
            self.users.insert_users(&users, self.clock.now()).await?
        };
        self.report.imported += new;
        self.report.already_there += total.saturating_sub(new);
        for record in self.batch.drain(..) {
            match record.hash_kind {
                Some(kind) => *self.report.hashes.entry(kind).or_default() += 1,
                None => self.report.must_reset += 1,
            }
            self.report.disabled += u64::from(record.user.disabled);
            self.report.unverified += u64::from(!record.user.account.email_verified);
            self.report.dearest_hash_kib = self.report.dearest_hash_kib.max(record.hash_kib);
        }
        Ok(())
    }
}
