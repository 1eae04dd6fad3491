//! Whether everything that the service stands on is fit for it. Looking changes nothing: no file is
//! made, no step of the schema is taken, no key is generated.

mod clocks;
mod database;

use std::error::Error;
use std::sync::Arc;

use super::deployment::{Deployment, dispute};
use super::leftovers::{Leftovers, find_leftovers, nobody_administers};
use super::stores::{
    KEEPS_NO_LOG, KEEPS_NOTHING, KEEPS_SNAPSHOTS, TOKENS_FILE, lack_of_replicas, redis_options,
};
use super::{Database, Environment, folder};
use crate::config::{self, Profile, Secret, Settings};
use crate::crypto::keys::SigningKey;
use crate::crypto::secret::DerivedKeys;
use crate::domain::causes::with_causes;
use crate::domain::clock::Clock;
use crate::domain::ids::DeploymentId;
use crate::domain::journal::JournalHead;
use crate::domain::random::Random;
use crate::domain::signing_key::RingKey;
use crate::store::StoreResult;
use crate::store::backend::TokenBackend;
use crate::store::examination::View;
use crate::store::redis::{EvictionPolicy, Others, Persistence, RedisInspection, RedisLack, RedisTokenStore};
use crate::store::signing_keys::SigningKeyStore;

const DEPLOYMENT: &str = "deployment";

/// How something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Condition {
    /// As it should be.
    Good,
    /// Could not be looked at, for the sake of something else.
    Unknown,
    /// It works, and deserves a second thought.
    Warning,
    /// It does not work, or is not safe.
    Bad,
}

impl Condition {
    /// In a word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Unknown => "unknown",
            Self::Warning => "warning",
            Self::Bad => "bad",
        }
    }
}

/// What was found out about one thing. The text holds no secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What was looked at.
    pub subject: &'static str,
    /// How it is.
    pub condition: Condition,
    /// In a sentence.
    pub text: String,
}

impl Finding {
    /// A finding about `subject`.
    pub fn new(subject: &'static str, condition: Condition, text: impl Into<String>) -> Self {
        Self { subject, condition, text: text.into() }
    }

    fn bad(subject: &'static str, error: &(dyn Error + 'static)) -> Self {
        Self::new(subject, Condition::Bad, with_causes(error).to_string())
    }
}

/// Looks at the database, the keys in it, and the token store that the settings name.
pub async fn checkup(settings: &Settings, environment: &Environment) -> Vec<Finding> {
    let mut findings = Vec::new();
    let secret = match config::existing_secret(settings, &*environment.random) {
        Ok(secret) => {
            findings.push(Finding::new("secret", Condition::Good, "there, and long enough"));
            Some(secret)
        }
        Err(error) => {
            findings.push(Finding::bad("secret", &error));
            None
        }
    };
    findings.push(check_folder(settings));
    let (about_database, database) = database::check(settings).await;
    findings.extend(about_database);
    findings.push(match &database {
        Some(database) => check_keys(settings, &*database.signing_keys, secret.as_ref()).await,
        None => Finding::new("signing keys", Condition::Unknown, "the database cannot be asked"),
    });
    if let Some(database) = &database {
        findings.extend(check_leftovers(settings, database, &*environment.random).await);
        findings.push(check_administrators(settings, database).await);
    }
    findings.extend(check_token_store(settings, database.as_ref(), environment.clock.clone()).await);
    findings
}

fn check_folder(settings: &Settings) -> Finding {
    const SUBJECT: &str = "data folder";
    match folder::find_openness(&settings.data_dir) {
        Ok(None) => Finding::new(SUBJECT, Condition::Good, "for its owner alone"),
        Ok(Some(openness)) => Finding::new(SUBJECT, Condition::Warning, openness),
        Err(error) => Finding::bad(SUBJECT, &error),
    }
}

/// Whether the keys can be read by which tokens are signed and checked.
async fn check_keys(settings: &Settings, ring: &dyn SigningKeyStore, secret: Option<&Secret>) -> Finding {
    const SUBJECT: &str = "signing keys";
    if let Some(path) = &settings.keys.signing_key_file {
        let read = match tokio::fs::read_to_string(path).await {
            Ok(pem) => SigningKey::from_pem(settings.keys.algorithm, pem),
            Err(error) => {
                let text = format!("{} cannot be read: {error}", path.display());
                return Finding::new(SUBJECT, Condition::Bad, text);
            }
        };
        return match read {
            Ok(_) => Finding::new(SUBJECT, Condition::Good, format!("{} can be used", path.display())),
            Err(error) => Finding::bad(SUBJECT, &error),
        };
    }
    let Some(secret) = secret else {
        return Finding::new(SUBJECT, Condition::Unknown, "without the secret they cannot be read");
    };
    let (stored, keys) = match (ring.list_signing_keys().await, derive(secret)) {
        (Ok(stored), Ok(keys)) => (stored, keys),
        (Err(error), _) => return Finding::bad(SUBJECT, &error),
        (_, Err(error)) => return Finding::bad(SUBJECT, &error),
    };
    // A revoked key is not looked at any more.
    let trusted: Vec<_> = stored.iter().filter(|key| key.state.is_trusted()).collect();
    for RingKey { key, .. } in &trusted {
        if let Err(error) = SigningKey::open(key, &keys) {
            let text = format!("{} cannot be opened with this secret: {}", key.id, with_causes(&error));
            return Finding::new(SUBJECT, Condition::Bad, text);
        }
    }
    let text = match trusted.len() {
        0 => "none yet: the first start makes one".to_owned(),
        count => format!("{count}, all of which open with the secret"),
    };
    Finding::new(SUBJECT, Condition::Good, text)
}

/// What `hallpass dev` has left in the database. In a service for development it belongs there.
async fn check_leftovers(settings: &Settings, database: &Database, random: &dyn Random) -> Vec<Finding> {
    const SUBJECT: &str = "samples";
    if settings.profile == Profile::Dev {
        return Vec::new();
    }
    match find_leftovers(settings, database, random).await {
        Ok(Leftovers(found)) if found.is_empty() => {
            let text = "nothing of `hallpass dev` is left in the database";
            vec![Finding::new(SUBJECT, Condition::Good, text)]
        }
        Ok(Leftovers(found)) => {
            found.iter().map(|left| Finding::new(SUBJECT, Condition::Bad, left.to_string())).collect()
        }
        Err(error) => vec![Finding::bad(SUBJECT, &error)],
    }
}

async fn check_administrators(settings: &Settings, database: &Database) -> Finding {
    const SUBJECT: &str = "administrators";
    match nobody_administers(settings, database).await {
        Ok(None) => Finding::new(SUBJECT, Condition::Good, "there is one who can log in"),
        Ok(Some(nobody)) => Finding::new(SUBJECT, Condition::Warning, nobody),
        Err(error) => Finding::bad(SUBJECT, &error),
    }
}

fn derive(secret: &Secret) -> Result<DerivedKeys, crate::crypto::secret::SecretError> {
    DerivedKeys::derive(secret.expose().as_bytes())
}

/// Whether the token store has carried out all that the journal has.
async fn check_journal(database: Option<&Database>, store: &dyn TokenBackend) -> Option<Finding> {
    let journal = &database?.journal;
    let looked = async {
        let view = store.examine().await?.view().await?;
        Ok((view, journal.journal_heads().await?))
    };
    Some(judge_journal(looked.await))
}

fn judge_journal(looked: StoreResult<(View, Vec<JournalHead>)>) -> Finding {
    const SUBJECT: &str = "revocation journal";
    let (view, heads) = match looked {
        Ok(looked) => looked,
        Err(error) => return Finding::bad(SUBJECT, &error),
    };
    let behind: i64 = heads
        .iter()
        .zip(&view.states)
        .filter_map(|(head, state)| Some(head.newest.position - state.as_ref()?.mark.position))
        .filter(|behind| *behind > 0)
        .sum();
    if behind > 0 {
        let text = format!(
            "{behind} revocations stand in it that the token store has not carried out: a running service sees to \
             that within seconds, so either none runs or it does not reach the token store"
        );
        return Finding::new(SUBJECT, Condition::Warning, text);
    }
    if view.owes {
        let text = "the token store has carried out revocations that are not written into it yet: a running \
                    service sees to that within seconds";
        return Finding::new(SUBJECT, Condition::Warning, text);
    }
    Finding::new(SUBJECT, Condition::Good, "the token store has carried out all of it")
}

async fn check_token_store(
    settings: &Settings,
    database: Option<&Database>,
    clock: Arc<dyn Clock>,
) -> Vec<Finding> {
    const SUBJECT: &str = "token store";
    match settings.redis_url() {
        None => {
            let file = settings.data_dir.join(TOKENS_FILE);
            vec![match tokio::fs::try_exists(&file).await {
                Ok(true) => {
                    Finding::new(SUBJECT, Condition::Good, format!("embedded, in {}", file.display()))
                }
                Ok(false) => {
                    let text =
                        format!("embedded; {} is not there yet: the first start makes it", file.display());
                    Finding::new(SUBJECT, Condition::Warning, text)
                }
                Err(error) => Finding::bad(SUBJECT, &error),
            }]
        }
        Some(url) => {
            let redis = &settings.redis;
            let known = known_deployment(settings, database).await;
            // Where it is not known, nothing is read by it.
            let mark = match &known {
                Ok(deployment) => deployment.mark.clone(),
                Err(_) => Deployment::new(settings, DeploymentId::from(uuid::Uuid::nil())).mark,
            };
            let store = match RedisTokenStore::connect_lazy(url.expose(), &mark, redis_options(redis)) {
                Ok(store) => store,
                Err(error) => return vec![Finding::bad(SUBJECT, &error)],
            };
            match store.inspect().await {
                Ok(inspection) => {
                    let mut findings = judge_redis(&inspection, redis.danger_allow_eviction);
                    let users = database.map(|database| &*database.users);
                    let leeway = settings.tokens.lifetimes.leeway;
                    findings.push(clocks::check(clock, leeway, &store, users).await);
                    findings.extend(judge_replicas(&inspection, redis.wait_replicas));
                    findings.push(check_owner(settings, &store, known).await);
                    findings.push(check_redis_rights(&store).await);
                    findings.push(check_others(&store).await);
                    findings.extend(check_journal(database, &store).await);
                    findings
                }
                Err(error) => vec![
                    Finding::bad(SUBJECT, &error),
                    Finding::new("clock", Condition::Unknown, "Redis cannot be asked"),
                    Finding::new("deployment", Condition::Unknown, "Redis cannot be asked"),
                ],
            }
        }
    }
}

/// Which deployment the database is that of, as far as that is known; or else why not.
async fn known_deployment(settings: &Settings, database: Option<&Database>) -> Result<Deployment, Finding> {
    let unknown = |text: &str| Finding::new(DEPLOYMENT, Condition::Unknown, text);
    let database = database.ok_or_else(|| unknown("the database cannot be asked"))?;
    match database.deployment.find_deployment_id().await {
        Ok(Some(id)) => Ok(Deployment::new(settings, id)),
        Ok(None) => Err(unknown("it has no id yet: the first start makes one")),
        Err(error) => Err(Finding::bad(DEPLOYMENT, &error)),
    }
}

/// Whether the keys in Redis are this deployment's.
async fn check_owner(
    settings: &Settings,
    store: &RedisTokenStore,
    known: Result<Deployment, Finding>,
) -> Finding {
    let deployment = match known {
        Ok(deployment) => deployment,
        Err(finding) => return finding,
    };
    let public_url = settings.public_url.as_ref().map(ToString::to_string);
    let keys = format!("{}; its keys begin with {}", deployment.id, deployment.mark);
    match store.find_owner().await {
        Ok(Some(owner)) => match dispute(&owner, deployment.id, public_url.as_deref(), &store.owner_key()) {
            Some(dispute) => Finding::new(DEPLOYMENT, Condition::Bad, dispute),
            None => Finding::new(
                DEPLOYMENT,
                Condition::Good,
                format!("{keys}, and are those of {}", owner.public_url),
            ),
        },
        Ok(None) => Finding::new(DEPLOYMENT, Condition::Good, format!("{keys}; there are none yet")),
        Err(error) => Finding::bad(DEPLOYMENT, &error),
    }
}

/// Whether the user may do in Redis what the service does.
async fn check_redis_rights(store: &RedisTokenStore) -> Finding {
    const SUBJECT: &str = "redis rights";
    match store.lacking_rights().await {
        Ok(Some(lack)) if lack.is_nothing() => {
            Finding::new(SUBJECT, Condition::Good, "the user may run every command that is needed")
        }
        Ok(Some(RedisLack { commands, keys })) => {
            let commands = (!commands.is_empty()).then(|| format!("the commands {}", commands.join(", ")));
            let keys = keys.map(|mark| format!("the keys {mark}*"));
            let lacks: Vec<String> = commands.into_iter().chain(keys).collect();
            let text = format!(
                "the user of `redis.url` may not use {} (ACL SETUSER; see docs/stores.md)",
                lacks.join(", nor ")
            );
            Finding::new(SUBJECT, Condition::Bad, text)
        }
        Ok(None) => Finding::new(SUBJECT, Condition::Unknown, "the user may not ask (MULTI, DISCARD)"),
        Err(error) => Finding::bad(SUBJECT, &error),
    }
}

/// Who else keeps something in this Redis: good to know, and no fault.
async fn check_others(store: &RedisTokenStore) -> Finding {
    const SUBJECT: &str = "others";
    match store.list_others().await {
        Ok(others) => Finding::new(SUBJECT, Condition::Good, name_others(&others)),
        Err(error) => {
            let text = format!("who else is in this Redis is not known: {}", with_causes(&error));
            Finding::new(SUBJECT, Condition::Unknown, text)
        }
    }
}

fn name_others(Others { owners, is_complete }: &Others) -> String {
    let names = owners.iter().map(|(mark, owner)| match owner {
        Some(owner) => format!("{mark} ({})", owner.public_url),
        None => format!("{mark} (of another version)"),
    });
    let names: Vec<String> = names.collect();
    let found = match names.len() {
        0 => "no other deployment is in this Redis database".to_owned(),
        _ => format!("in this Redis database as well: {}", names.join(", ")),
    };
    let rest = if *is_complete { "" } else { ", as far as was looked: it has very many keys" };
    format!("{found}{rest}")
}

fn judge_redis(inspection: &RedisInspection, allow_eviction: bool) -> Vec<Finding> {
    use Condition::{Bad, Good, Unknown, Warning};
    let version = match inspection.version {
        _ if inspection.is_too_old() => (Bad, "Redis is too old; hallpass needs 6.2 or later".to_owned()),
        Some((major, minor)) => (Good, format!("Redis {major}.{minor} answers")),
        None => (Unknown, "Redis answers and does not say which version it is".to_owned()),
    };
    let eviction = match &inspection.eviction {
        EvictionPolicy::NoEviction => {
            (Good, "noeviction: nothing is forgotten when memory is full".to_owned())
        }
        EvictionPolicy::Evicts(policy) => {
            let condition = if allow_eviction { Warning } else { Bad };
            let text = format!("{policy}: sessions and revocations are forgotten when memory is full");
            (condition, text)
        }
        EvictionPolicy::Unknown => (Unknown, "Redis does not say".to_owned()),
    };
    let persistence = match inspection.persistence {
        Persistence::Log => {
            (Good, "Redis keeps a log (appendonly yes): its restart logs nobody out".to_owned())
        }
        Persistence::Snapshots => (Warning, KEEPS_SNAPSHOTS.to_owned()),
        Persistence::Nothing => (Warning, KEEPS_NOTHING.to_owned()),
        Persistence::NoLog => (Warning, KEEPS_NO_LOG.to_owned()),
        Persistence::Unknown => (Unknown, "Redis does not say".to_owned()),
    };
    [("token store", version), ("eviction", eviction), ("persistence", persistence)]
        .map(|(subject, (condition, text))| Finding::new(subject, condition, text))
        .into()
}

/// Whether there are as many replicas as revocations wait for; nothing where they wait for none.
fn judge_replicas(inspection: &RedisInspection, wanted: u32) -> Option<Finding> {
    const SUBJECT: &str = "replicas";
    if wanted == 0 {
        return None;
    }
    Some(match inspection.replicas {
        None => Finding::new(SUBJECT, Condition::Unknown, "Redis does not say"),
        Some(replicas) if replicas < wanted => {
            Finding::new(SUBJECT, Condition::Warning, lack_of_replicas(wanted, replicas))
        }
        Some(replicas) => {
            let text = format!("revocations wait for {wanted} of {replicas}");
            Finding::new(SUBJECT, Condition::Good, text)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fine() -> RedisInspection {
        RedisInspection {
            version: Some((7, 2)),
            eviction: EvictionPolicy::NoEviction,
            persistence: Persistence::Log,
            replicas: Some(1),
        }
    }

    #[test]
    fn fewer_replicas_than_revocations_wait_for_are_a_warning() {
        let of = |replicas, wanted| {
            let found = judge_replicas(&RedisInspection { replicas, ..fine() }, wanted);
            found.map(|finding| finding.condition)
        };
        use Condition::{Good, Unknown, Warning};
        assert_eq!([of(Some(0), 0), of(None, 0)], [None, None]);
        assert_eq!([of(Some(0), 1), of(Some(1), 2)], [Some(Warning); 2]);
        assert_eq!([of(Some(1), 1), of(Some(3), 2)], [Some(Good); 2]);
        assert_eq!(of(None, 1), Some(Unknown));
    }

    #[test]
    fn what_a_restart_of_redis_does_is_told_apart() {
        let of = |persistence| {
            let inspection = RedisInspection { persistence, ..fine() };
            let finding = judge_redis(&inspection, false).pop().expect("the last one is about that");
            (finding.condition, finding.text)
        };
        use Condition::{Good, Unknown, Warning};
        for (persistence, condition, part) in [
            (Persistence::Log, Good, "keeps a log"),
            (Persistence::Snapshots, Warning, "goes back"),
            (Persistence::Nothing, Warning, "logs everybody out"),
            (Persistence::NoLog, Warning, "not known"),
            (Persistence::Unknown, Unknown, "does not say"),
        ] {
            let (found, text) = of(persistence);
            assert!(found == condition && text.contains(part), "{persistence:?}: {text}");
        }
    }

    #[test]
    fn other_deployments_are_named() {
        let mark = |text: &str| crate::domain::deployment::DeploymentMark::parse(text).expect("a mark");
        let owner = crate::domain::deployment::Owner {
            deployment: uuid::Uuid::nil().into(),
            public_url: "https://staging.example.com".to_owned(),
        };
        let owners = vec![(mark("0badcafe"), Some(owner)), (mark("new"), None)];
        let text = name_others(&Others { owners, is_complete: true });
        assert!(text.ends_with("0badcafe (https://staging.example.com), new (of another version)"), "{text}");
        let text = name_others(&Others { owners: Vec::new(), is_complete: false });
        assert!(text.contains("no other") && text.contains("as far as was looked"), "{text}");
    }

    #[test]
    fn a_redis_that_forgets_is_bad_unless_that_is_allowed() {
        let evicting = RedisInspection {
            version: Some((6, 0)),
            eviction: EvictionPolicy::Evicts("allkeys-lru".to_owned()),
            persistence: Persistence::Nothing,
            replicas: None,
        };
        let conditions = |allow| judge_redis(&evicting, allow).into_iter().map(|finding| finding.condition);
        use Condition::{Bad, Good, Warning};
        assert!(conditions(false).eq([Bad, Bad, Warning]));
        assert!(conditions(true).eq([Bad, Warning, Warning]));
        assert!(judge_redis(&fine(), false).iter().all(|finding| finding.condition == Good));
    }
}
