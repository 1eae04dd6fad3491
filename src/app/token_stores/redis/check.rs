//! What a look at Redis finds: is it fit for the service, whose keys are there, may the user do all that is needed.

use std::sync::Arc;

use super::owner::dispute;
use super::{
    KEEPS_NO_LOG, KEEPS_NOTHING, KEEPS_SNAPSHOTS, clocks, cluster, lack_of_replicas, options, sentinels,
};
use crate::app::database::Database;
use crate::app::deployment::Deployment;
use crate::app::finding::{Condition, Finding};
use crate::app::token_stores::{SUBJECT, journal};
use crate::config::Settings;
use crate::domain::causes::with_causes;
use crate::domain::clock::Clock;
use crate::domain::ids::DeploymentId;
use crate::store::redis::{EvictionPolicy, Others, Persistence, RedisInspection, RedisLack, RedisTokenStore};

const DEPLOYMENT: &str = "deployment";

/// Asks the Redis at `url` all of it.
pub(super) async fn check(
    url: &str,
    settings: &Settings,
    database: Option<&Database>,
    clock: Arc<dyn Clock>,
) -> Vec<Finding> {
    let redis = &settings.redis;
    let known = known_deployment(settings, database).await;
    // Where it is not known, nothing is read by it.
    let mark = match &known {
        Ok(deployment) => deployment.mark.clone(),
        Err(_) => Deployment::new(settings, DeploymentId::from(uuid::Uuid::nil())).mark,
    };
    let store = match RedisTokenStore::connect_lazy(url, &mark, options(redis)) {
        Ok(store) => store,
        Err(error) => return vec![Finding::bad(SUBJECT, &error)],
    };
    let sentinels = sentinels::check(&store).await;
    let cluster = cluster::check(&store, settings.tokens.lifetimes.leeway).await;
    let inspection = match store.inspect().await {
        Ok(inspection) => inspection,
        Err(error) => {
            let cannot = |subject| Finding::new(subject, Condition::Unknown, "Redis cannot be asked");
            let unknown = [cannot("clock"), cannot(DEPLOYMENT)];
            let led_by = sentinels.into_iter().chain(cluster);
            return [Finding::bad(SUBJECT, &error)].into_iter().chain(led_by).chain(unknown).collect();
        }
    };
    let mut findings = judge(&inspection, redis.danger_allow_eviction);
    findings.extend(cluster);
    let split_brain = sentinels.as_ref().map(|_| sentinels::judge_split_brain(inspection.refuses_alone));
    findings.extend(sentinels.into_iter().chain(split_brain));
    let users = database.map(|database| &*database.users);
    findings.push(clocks::check(clock, settings.tokens.lifetimes.leeway, &store, users).await);
    findings.extend(judge_replicas(&inspection, redis.wait_replicas));
    findings.push(check_owner(settings, &store, known).await);
    findings.push(check_rights(&store).await);
    findings.push(check_others(&store).await);
    findings.extend(journal::check(database, &store).await);
    findings
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
async fn check_rights(store: &RedisTokenStore) -> Finding {
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

fn judge(inspection: &RedisInspection, allow_eviction: bool) -> Vec<Finding> {
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
    [(SUBJECT, version), ("eviction", eviction), ("persistence", persistence)]
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
            refuses_alone: Some(true),
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
            let finding = judge(&inspection, false).pop().expect("the last one is about that");
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
            refuses_alone: None,
        };
        let conditions = |allow| judge(&evicting, allow).into_iter().map(|finding| finding.condition);
        use Condition::{Bad, Good, Warning};
        assert!(conditions(false).eq([Bad, Bad, Warning]));
        assert!(conditions(true).eq([Bad, Warning, Warning]));
        assert!(judge(&fine(), false).iter().all(|finding| finding.condition == Good));
    }
}
