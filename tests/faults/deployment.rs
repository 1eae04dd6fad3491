//! Three replicas on one Redis and one Postgres, which an operator restarts with other settings, or another build.

use std::path::PathBuf;
use std::process::Command;

use crate::load::Load;
use crate::process::{Outcome, Program, SECRET, Service, eventually, in_production};
use crate::support::postgres::PostgresServer;

/// The program of an earlier release, for those who have it built.
const EARLIER: &str = "HALLPASS_FAULTS_EARLIER";

/// Where that is.
///
/// # Panics
/// Nobody says so.
pub fn earlier_release() -> PathBuf {
    let path = std::env::var_os(EARLIER).expect("HALLPASS_FAULTS_EARLIER is the path of a build");
    path.into()
}

/// What a process is started with.
#[derive(Clone)]
pub struct Setup {
    /// Of this build, unless it names another one.
    pub build: Option<PathBuf>,
    pub redis_url: String,
    pub secret: String,
    pub accepted: Option<String>,
}

impl Setup {
    pub fn on(redis_url: String) -> Self {
        Self { build: None, redis_url, secret: SECRET.to_owned(), accepted: None }
    }
}

/// The replicas.
pub struct Deployment {
    folder: tempfile::TempDir,
    database: String,
    /// What those are started with that are started from now on.
    pub setup: Setup,
    services: Vec<Option<Service>>,
}

impl Deployment {
    pub async fn start(setup: Setup) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let database = PostgresServer::shared().create_database().await;
        let mut replicas = Self { folder, database, setup, services: Vec::new() };
        for _ in 0..3 {
            let service = replicas.serve().start();
            replicas.services.push(Some(service));
        }
        replicas
    }

    /// A load at all of them, of so many who do something at once.
    pub async fn load(&self, workers: usize) -> Load {
        let clients = self.services.iter().flatten().map(Service::client).collect();
        Load::of(workers, clients, self.setup.build.is_some()).await
    }

    /// Runs a command of this build beside them.
    pub async fn command(&self, arguments: &[&str]) -> Outcome {
        let outcome = self.configured(Program::new(self.folder.path(), arguments)).run().await;
        assert_eq!(outcome.code, Some(0), "{arguments:?}: {outcome:?}");
        outcome
    }

    fn serve(&self) -> Program {
        const SERVE: [&str; 3] = ["serve", "--listen", "127.0.0.1:0"];
        let program = match &self.setup.build {
            Some(build) => Program::of(Command::new(build), self.folder.path(), &SERVE),
            // Until it accepts nothing more: time enough for the balancer to look.
            None => Program::new(self.folder.path(), &SERVE).variable("HALLPASS_SHUTDOWN_DELAY", "1s"),
        };
        self.configured(program)
    }

    fn configured(&self, program: Program) -> Program {
        let program = in_production(program, &self.setup.redis_url, &self.database)
            .variable("HALLPASS_RATE_LIMITS__ENABLED", "false")
            .variable("HALLPASS_SECRET", &self.setup.secret);
        match &self.setup.accepted {
            Some(accepted) => program.variable("HALLPASS_SECRET_ACCEPTED", accepted),
            None => program,
        }
    }

    /// Kills the one in that place, whom requests still go to.
    pub async fn kill(&mut self, place: usize, load: &Load) {
        load.ledger().replicas.is_killed(place);
        self.take(place).kill().await;
    }

    /// Another process in that place, which is sent requests once it is ready.
    pub async fn put(&mut self, place: usize, load: &Load) {
        let service = self.serve().start();
        let client = service.client();
        eventually("it is ready", async || client.is_ready().await).await;
        load.ledger().replicas.put(place, client);
        self.services[place] = Some(service);
    }

    /// Stops the one in that place as soon as a balancer has seen that it does, and puts another one there.
    pub async fn replace(&mut self, place: usize, load: &Load) {
        let service = self.take(place);
        service.terminate();
        let client = service.client();
        eventually("it says that it stops", async || !client.is_ready().await).await;
        load.ledger().replicas.leave_out(place);
        assert_eq!(service.ended().await.0, Some(0));
        self.put(place, load).await;
    }

    /// The same with one that does not say so and closes what it has not read: the balancer sends it nothing more
    /// before, and waits for what it was asked.
    pub async fn replace_by_hand(&mut self, place: usize, load: &Load) {
        let replicas = &load.ledger().replicas;
        replicas.leave_out(place);
        eventually("it has answered", async || replicas.has_answered_all(place)).await;
        self.take(place).stop().await;
        self.put(place, load).await;
    }

    fn take(&mut self, place: usize) -> Service {
        self.services[place].take().expect("one that runs")
    }

    pub async fn stop(self) {
        for service in self.services.into_iter().flatten() {
            service.stop().await;
        }
    }
}
