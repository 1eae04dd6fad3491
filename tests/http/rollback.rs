//! A token store that goes back in time, or loses everything: what was revoked stays revoked, whoever is
//! asked, and whoever was not logged out stays logged in where their session is still known.

use std::path::Path;

use futures_util::future::join_all;
use serde_json::json;
use sqlx::{AssertSqlSafe, Connection, Executor, Row, SqliteConnection};
use tempfile::TempDir;

use crate::servers::postgres::PostgresServer;
use crate::servers::redis::RedisServer;
use crate::support::{Actor, Admin, Answer, LoggedIn, MINUTE, PASSWORD, SECOND, TestApp, Tokens, jwt};

const NEW_PASSWORD: &str = "another good password";

/// What ends sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Logout,
    LogoutOthers,
    LogoutGlobal,
    OneSession,
    Kick,
    PasswordChange,
    PasswordReset,
    Disable,
    Delete,
    RoleDown,
    EmailChange,
    ReuseAlarm,
}

const KINDS: [Kind; 12] = [
    Kind::Logout,
    Kind::LogoutOthers,
    Kind::LogoutGlobal,
    Kind::OneSession,
    Kind::Kick,
    Kind::PasswordChange,
    Kind::PasswordReset,
    Kind::Disable,
    Kind::Delete,
    Kind::RoleDown,
    Kind::EmailChange,
    Kind::ReuseAlarm,
];

/// Somebody on two devices, to whom one of these happens.
struct Story {
    kind: Kind,
    laptop: LoggedIn,
    phone: LoggedIn,
    /// A reset token that a later one takes the place of, or the one that is used.
    reset: String,
    /// Whatever was handed out for a session that has to be over.
    dead: Vec<Tokens>,
    /// Sessions that have to live on.
    alive: Vec<Tokens>,
}

fn session_of(tokens: &Tokens) -> String {
    jwt::claims(&tokens.access)["sid"].as_str().expect("a session").to_owned()
}

impl Story {
    async fn begin(app: &TestApp, admin: &Admin, kind: Kind) -> Self {
        let name = format!("{kind:?}").to_lowercase();
        let mut laptop = app.member(&name).await;
        if kind == Kind::RoleDown {
            let path = format!("/users/{}", laptop.id);
            admin.patch(&path).json(&json!({"role": "admin"})).send().await.json(200);
            laptop = laptop.on_another_device().await;
        }
        let phone = laptop.on_another_device().await;
        let reset = app.reset_token(&laptop.email).await;
        Self { kind, laptop, phone, reset, dead: Vec::new(), alive: Vec::new() }
    }

    /// Lets it happen; when this returns it is acknowledged.
    async fn happen(&mut self, app: &TestApp, admin: &Admin) {
        let Self { kind, laptop, phone, reset, .. } = self;
        (laptop.app, phone.app) = (app.clone(), app.clone());
        let path = format!("/users/{}", laptop.id);
        let change = |body| admin.patch(&path).json(&body).send();
        let (mut dead, mut alive) = (vec![laptop.tokens.clone(), phone.tokens.clone()], Vec::new());
        match kind {
            Kind::Logout => {
                app.log_out(&laptop.tokens.access).await.json(200);
                alive = vec![dead.remove(1)];
            }
            Kind::LogoutOthers => {
                laptop.post("/auth/logout?scope=others").send().await.json(200);
                alive = vec![dead.remove(0)];
            }
            Kind::LogoutGlobal => {
                laptop.post("/auth/logout?scope=global").send().await.json(200);
            }
            Kind::OneSession => {
                let path = format!("/auth/sessions/{}", session_of(&phone.tokens));
                laptop.delete(&path).send().await.json(200);
                alive = vec![dead.remove(0)];
            }
            Kind::Kick => {
                admin.delete(&format!("{path}/sessions")).send().await.json(200);
            }
            Kind::PasswordChange => {
                laptop.change_password(NEW_PASSWORD).await.tokens(200);
            }
            Kind::PasswordReset => {
                app.reset_password(reset, NEW_PASSWORD).await.json(200);
            }
            Kind::Disable => {
                change(json!({"disabled": true})).await.json(200);
            }
            Kind::Delete => {
                admin.delete(&path).send().await.json(200);
            }
            Kind::RoleDown => {
                change(json!({"role": "member"})).await.json(200);
            }
            Kind::EmailChange => {
                change(json!({"email": format!("new-{}", laptop.email)})).await.json(200);
            }
            Kind::ReuseAlarm => {
                // The copy of then knows the stolen token as the current one.
                let stolen = phone.tokens.refresh.clone();
                for _ in 0..2 {
                    phone.refresh().await;
                    dead.push(phone.tokens.clone());
                }
                app.refresh(&stolen).await.assert_refused(401, "refresh_token_reused");
                alive = vec![dead.remove(0)];
            }
        }
        if matches!(kind, Kind::Logout | Kind::LogoutOthers | Kind::OneSession | Kind::ReuseAlarm) {
            // A security event has voided the others' already.
            app.reset_token(&laptop.email).await;
        }
        (self.dead, self.alive) = (dead, alive);
    }

    /// Fails where one of its ends was forgotten, or somebody was logged out who was not to be.
    async fn assert_holds(&self, app: &TestApp) {
        println!("{:?}", self.kind);
        for tokens in &self.dead {
            assert_dead(app, tokens).await;
        }
        for tokens in &self.alive {
            app.me(&tokens.access).await.json(200);
            app.auth_me_by_refresh_token(&tokens.refresh).await.json(200);
        }
        app.reset_password(&self.reset, NEW_PASSWORD).await.assert_refused(400, "invalid_reset_token");
    }
}

/// Fails where a token is good for anything.
pub async fn assert_dead(app: &TestApp, tokens: &Tokens) {
    app.me(&tokens.access).await.assert_refused(401, "token_revoked");
    app.auth_me_by_refresh_token(&tokens.refresh).await.assert_refused(401, "invalid_refresh_token");
    app.refresh(&tokens.refresh).await.assert_refused(401, "invalid_refresh_token");
}

/// Asks for dead tokens until there is a verdict: before that the answer is that it is not known.
async fn assert_no_wrong_yes(app: TestApp, dead: Vec<Tokens>) {
    let asking = async {
        for tokens in &dead {
            while !is_verdict(&app.me(&tokens.access).await) {}
            while !is_verdict(&app.auth_me_by_refresh_token(&tokens.refresh).await) {}
        }
    };
    tokio::time::timeout(SECOND * 30, asking).await.expect("a verdict");
}

/// Whether a dead token was refused; fails where it was not.
fn is_verdict(answer: &Answer) -> bool {
    assert!(matches!(answer.status, 401 | 503), "a wrong yes: {answer:?}");
    answer.status == 401
}

/// How the token store goes back in time.
#[derive(Clone, Copy, Debug)]
enum Rollback {
    /// It is killed and starts with a snapshot of before.
    Snapshot,
    /// It is lost, and a replica takes its place that has fallen behind.
    Failover,
}

async fn nothing_revives(rollback: Rollback) {
    let (master, mut replica) = (RedisServer::with_snapshots(), RedisServer::with_snapshots());
    let port = master.port();
    replica.follow(port).await;
    let app = TestApp::on_redis(master).await;
    let mirror = app.mirror().await;
    let admin = app.admin().await;
    let eve = app.member("eve").await;
    let mut stories = Vec::new();
    for kind in KINDS {
        stories.push(Story::begin(&app, &admin, kind).await);
    }
    app.command_redis(&["SAVE"]).await;
    replica.catch_up_with(port).await;
    replica.fall_behind().await;

    for (n, story) in stories.iter_mut().enumerate() {
        story.happen(if n % 2 == 0 { &app } else { &mirror }, &admin).await;
    }
    // The alarm is journaled beside its answer.
    for asked in [&app, &mirror] {
        asked.keep_journal().await.expect("an answer");
    }
    match rollback {
        Rollback::Snapshot => app.redis().restart(),
        Rollback::Failover => {
            app.redis().kill();
            replica.take_over(port).await;
            *app.redis() = replica;
        }
    }

    let dead: Vec<Tokens> = stories.iter().flat_map(|story| story.dead.clone()).collect();
    let asking = [&app, &mirror].map(|asked| tokio::spawn(assert_no_wrong_yes(asked.clone(), dead.clone())));
    for asked in join_all(asking).await {
        asked.expect("no token was accepted after its end");
    }
    let (strict_later, mirror_later) = (app.another_replica(|_| ()).await, app.mirror().await);
    for asked in [&app, &mirror, &strict_later, &mirror_later] {
        asked.recovered().await;
        for story in &stories {
            story.assert_holds(asked).await;
        }
        asked.me(&eve.tokens.access).await.json(200);
        asked.auth_me_by_refresh_token(&eve.tokens.refresh).await.json(200);
        asked.me(&admin.0.tokens.access).await.json(200);
    }
    // Nor when denials are forgotten.
    app.advance(MINUTE * 16);
    for story in &stories {
        for tokens in &story.dead {
            app.refresh(&tokens.refresh).await.assert_refused(401, "invalid_refresh_token");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_snapshot_that_is_restored_revives_nothing() {
    nothing_revives(Rollback::Snapshot).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_is_promoted_before_it_has_everything_revives_nothing() {
    nothing_revives(Rollback::Failover).await;
}

/// Nobody can tell then what the token store has forgotten.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_journal_cannot_be_read_there_is_no_verdict_on_restored_data() {
    let app = TestApp::on_redis_and_its_own_postgres(RedisServer::with_snapshots()).await;
    let mirror = app.mirror().await;
    let (ada, eve) = (app.member("ada").await, app.member("eve").await);
    app.command_redis(&["SAVE"]).await;
    app.log_out(&ada.tokens.access).await.json(200);

    app.take_postgres_down();
    app.redis().restart();
    for _ in 0..20 {
        for asked in [&app, &mirror] {
            for tokens in [&ada.tokens, &eve.tokens] {
                asked.refresh(&tokens.refresh).await.assert_refused(503, "dependency_unavailable");
                let renewal = asked.auth_me_by_refresh_token(&tokens.refresh).await;
                renewal.assert_refused(503, "dependency_unavailable");
            }
            assert!(!is_verdict(&app.me(&ada.tokens.access).await), "a verdict without the journal");
        }
    }
    app.bring_postgres_back();
    for asked in [&app, &mirror] {
        asked.recovered().await;
        assert_dead(asked, &ada.tokens).await;
        asked.me(&eve.tokens.access).await.json(200);
        asked.auth_me_by_refresh_token(&eve.tokens.refresh).await.json(200);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_logout_without_the_database_is_written_down_when_it_is_back() {
    let app = TestApp::on_redis_and_its_own_postgres(RedisServer::with_snapshots()).await;
    let mirror = app.mirror().await;
    let (ada, eve) = (app.member("ada").await, app.member("eve").await);
    let phone = ada.on_another_device().await;
    app.command_redis(&["SAVE"]).await;

    app.take_postgres_down();
    app.log_out(&ada.tokens.access).await.assert_refused(503, "revocation_pending");
    let by_refresh_token = mirror.anonymous().post("/auth/logout").refresh(&phone.tokens.refresh);
    by_refresh_token.send().await.assert_refused(503, "revocation_pending");
    let dead = [&ada.tokens, &phone.tokens];
    for asked in [&app, &mirror] {
        for tokens in dead {
            assert_dead(asked, tokens).await;
        }
    }
    app.bring_postgres_back();
    for asked in [&app, &mirror] {
        asked.recovered().await;
        asked.keep_journal().await.expect("both stores answer");
    }

    app.redis().restart();
    let (strict_later, mirror_later) = (app.another_replica(|_| ()).await, app.mirror().await);
    for asked in [&app, &mirror, &strict_later, &mirror_later] {
        asked.recovered().await;
        for tokens in dead {
            assert_dead(asked, tokens).await;
        }
        asked.me(&eve.tokens.access).await.json(200);
        asked.auth_me_by_refresh_token(&eve.tokens.refresh).await.json(200);
    }
}

/// The token store gives the version then, and the database takes it over: otherwise nobody could log in.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kick_without_the_database_holds_and_logins_work_when_it_is_back() {
    let app = TestApp::on_redis_and_its_own_postgres(RedisServer::start()).await;
    let mirror = app.mirror().await;
    let admin = app.admin().await;
    let (ada, eve) = (app.member("ada").await, app.member("eve").await);
    let phone = ada.on_another_device().await;

    app.take_postgres_down();
    let kick = admin.delete(&format!("/users/{}/sessions", ada.id)).send().await;
    kick.assert_refused(503, "revocation_pending");
    let everywhere = mirror.anonymous().post("/auth/logout?scope=global").access(&eve.tokens.access);
    everywhere.send().await.assert_refused(503, "revocation_pending");
    let dead = [&ada.tokens, &phone.tokens, &eve.tokens];
    for asked in [&app, &mirror] {
        for tokens in dead {
            assert_dead(asked, tokens).await;
        }
    }

    app.bring_postgres_back();
    for asked in [&app, &mirror] {
        asked.recovered().await;
    }
    // One before the journal was looked after, and one after that.
    let ada_again = ada.on_another_device().await;
    for asked in [&app, &mirror] {
        asked.keep_journal().await.expect("both stores answer");
    }
    let eve_again = eve.on_another_device().await;
    let later = app.another_replica(|_| ()).await;
    for asked in [&app, &mirror, &later] {
        asked.recovered().await;
        for tokens in dead {
            assert_dead(asked, tokens).await;
        }
        for person in [&ada_again, &eve_again] {
            asked.me(&person.tokens.access).await.json(200);
            asked.auth_me_by_refresh_token(&person.tokens.refresh).await.json(200);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_both_stores_are_away_nothing_is_decided() {
    let app = TestApp::on_redis_and_its_own_postgres(RedisServer::start()).await;
    let ada = app.member("ada").await;
    app.take_postgres_down();
    app.redis().kill();
    for answer in [
        app.me(&ada.tokens.access).await,
        app.refresh(&ada.tokens.refresh).await,
        app.log_out(&ada.tokens.access).await,
        app.anonymous().post("/auth/logout").refresh(&ada.tokens.refresh).send().await,
        ada.post("/auth/logout?scope=global").send().await,
        app.log_in(&ada.email, PASSWORD).await,
    ] {
        answer.assert_refused(503, "dependency_unavailable");
    }
    app.bring_postgres_back();
    app.redis().restart();
    app.recovered().await;
    for _ in 0..2 {
        app.keep_journal().await.expect("both stores answer");
        ada.assert_lives().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_is_emptied_logs_everybody_out_and_those_who_come_back_stay() {
    let app = TestApp::on_redis(RedisServer::start()).await;
    let mirror = app.mirror().await;
    let ada = app.member("ada").await;
    let revoked = ada.on_another_device().await;
    app.log_out(&revoked.tokens.access).await.json(200);
    let reset = app.reset_token(&ada.email).await;
    let before = [ada.tokens.clone(), revoked.tokens.clone()];

    app.command_redis(&["FLUSHALL"]).await;
    // In the very second of the tokens that are dead.
    let after = LoggedIn::log_in(&app, &ada.email, PASSWORD).await;
    let there = LoggedIn::log_in(&mirror, &ada.email, PASSWORD).await;
    let (strict_later, mirror_later) = (app.another_replica(|_| ()).await, app.mirror().await);
    mirror.answers_from_its_copy().await;
    for asked in [&app, &mirror, &strict_later, &mirror_later] {
        asked.recovered().await;
        for tokens in &before {
            assert_dead(asked, tokens).await;
            asked.log_out(&tokens.access).await.assert_refused(401, "token_revoked");
        }
        asked.reset_password(&reset, NEW_PASSWORD).await.assert_refused(400, "invalid_reset_token");
        for person in [&after, &there] {
            asked.me(&person.tokens.access).await.json(200);
            asked.auth_me_by_refresh_token(&person.tokens.refresh).await.json(200);
        }
    }
}

/// Whoever checks tokens by the feed alone knows nothing of sessions, only of their ends.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_logout_of_a_session_that_the_store_has_lost_is_told_all_the_same() {
    let app = TestApp::on_redis(RedisServer::with_snapshots()).await;
    let mirror = app.mirror().await;
    let unheard = app.replica_without_the_feed().await;
    app.member("ada").await;
    app.command_redis(&["SAVE"]).await;
    let [first, second, third] = [
        LoggedIn::log_in(&app, "ada@example.com", PASSWORD).await,
        LoggedIn::log_in(&app, "ada@example.com", PASSWORD).await,
        LoggedIn::log_in(&app, "ada@example.com", PASSWORD).await,
    ];
    app.redis().restart();
    for asked in [&app, &mirror] {
        asked.recovered().await;
    }
    unheard.keep_journal().await.expect("both stores answer");
    assert!(!unheard.services().revocations.is_fresh());
    while !app.services().revocations.is_fresh() {
        tokio::task::yield_now().await;
    }
    mirror.answers_from_its_copy().await;
    for (asked, lost) in [(&app, first), (&mirror, second), (&unheard, third)] {
        mirror.me(&lost.tokens.access).await.json(200);
        asked.log_out(&lost.tokens.access).await.assert_refused(401, "token_revoked");
        for asked in [&app, &mirror] {
            assert_dead(asked, &lost.tokens).await;
        }
    }
}

/// The tables that a restored backup brings back; the audit log takes nothing back.
async fn tables(connection: &mut SqliteConnection) -> Vec<String> {
    let rows = sqlx::query(
        "SELECT name FROM main.sqlite_master WHERE type = 'table' \
         AND name NOT LIKE 'audit_log%' AND (name NOT LIKE 'sqlite_%' OR name = 'sqlite_sequence')",
    );
    let rows = rows.fetch_all(connection).await.expect("the tables");
    rows.iter().map(|row| row.get("name")).collect()
}

/// A backup of the accounts.
pub async fn back_up(app: &TestApp, to: &Path) {
    let mut connection = SqliteConnection::connect(&app.sqlite_url()).await.expect("the database");
    let backup = format!("VACUUM INTO '{}'", to.display());
    connection.execute(AssertSqlSafe(backup)).await.expect("a backup");
    connection.close().await.expect("a clean end");
}

/// Brings the accounts of a backup back, under a service that runs.
pub async fn restore(app: &TestApp, from: &Path) {
    let mut connection = SqliteConnection::connect(&app.sqlite_url()).await.expect("the database");
    let mut run = async |statement: String| {
        connection.execute(AssertSqlSafe(statement)).await.expect("restored");
    };
    run(format!("ATTACH '{}' AS backup", from.display())).await;
    run("PRAGMA foreign_keys = OFF".to_owned()).await;
    let mut other = SqliteConnection::connect(&app.sqlite_url()).await.expect("the database");
    let tables = tables(&mut other).await;
    other.close().await.expect("a clean end");
    run("BEGIN IMMEDIATE".to_owned()).await;
    for table in tables {
        run(format!("DELETE FROM main.{table}")).await;
        run(format!("INSERT INTO main.{table} SELECT * FROM backup.{table}")).await;
    }
    run("COMMIT".to_owned()).await;
    connection.close().await.expect("a clean end");
}

/// A backup of a database.
enum Backup {
    Sqlite(TempDir),
    /// The name of a copy on the same server.
    Postgres(String),
}

impl Backup {
    async fn of(app: &TestApp) -> Self {
        if app.database_url().starts_with("postgres") {
            return Self::Postgres(PostgresServer::shared().back_up(app.database_url()).await);
        }
        let folder = tempfile::tempdir().expect("a folder");
        back_up(app, &folder.path().join("backup.db")).await;
        Self::Sqlite(folder)
    }

    /// Under a service that runs: it loses its connections where that is how it is done.
    async fn restore(&self, app: &TestApp) {
        match self {
            Self::Sqlite(folder) => restore(app, &folder.path().join("backup.db")).await,
            Self::Postgres(copy) => PostgresServer::shared().restore(app.database_url(), copy).await,
        }
    }
}

async fn a_restored_database_revives_no_session(app: TestApp) {
    let (ada, eve) = (app.member("ada").await, app.member("eve").await);
    let phone = eve.on_another_device().await;
    let backup = Backup::of(&app).await;
    app.has_its_database().await;
    // One by a security event, one by itself.
    ada.change_password(NEW_PASSWORD).await.tokens(200);
    app.log_out(&phone.tokens.access).await.json(200);
    let dead = [&ada.tokens, &phone.tokens];

    backup.restore(&app).await;
    app.has_its_database().await;
    for _ in 0..2 {
        app.keep_journal().await.expect("both stores answer");
        for tokens in dead {
            assert_dead(&app, tokens).await;
        }
        eve.assert_lives().await;
    }
    app.log_in(&ada.email, NEW_PASSWORD).await.assert_refused(401, "invalid_credentials");
    let again = LoggedIn::log_in(&app, &ada.email, PASSWORD).await;
    again.assert_lives().await;
    eve.assert_lives().await;
    for tokens in dead {
        assert_dead(&app, tokens).await;
    }

    // From here on nothing is special about it.
    let other = again.on_another_device().await;
    app.log_out(&again.tokens.access).await.json(200);
    other.assert_lives().await;
    let admin = app.admin().await;
    app.services().audit.flush(MINUTE).await;
    let path = format!("/audit?user={}&action=sessions_ended", ada.id);
    let entries = admin.get(&path).send().await.json(200);
    assert_eq!(entries[0]["reason"], "database_restored", "{entries}");
    assert_eq!(entries[0]["actor"], "service", "{entries}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restored_database_revives_no_session_in_redis() {
    let app = TestApp::on_redis_and_sqlite(RedisServer::start()).await;
    a_restored_database_revives_no_session(app).await;
}

/// The whole database is replaced by its backup, while Redis goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restored_postgres_revives_no_session_in_redis() {
    let app = TestApp::on_redis(RedisServer::start()).await;
    a_restored_database_revives_no_session(app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restored_database_revives_no_session_in_the_embedded_store() {
    let app = TestApp::spawn().await.counting_nothing().await;
    a_restored_database_revives_no_session(app).await;
}
