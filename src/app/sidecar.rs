//! The life of a sidecar: it follows an issuer and answers for it, on this machine alone.

use std::fmt;
use std::fs::Permissions;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use hallpass_verify::client::{BuildError, Validator};
use tokio::net::{TcpListener, UnixListener, UnixStream};

use super::environment::Environment;
use super::supervisor;
use crate::api;
use crate::api::main::forward_auth::UnverifiedEmail;
use crate::config::{LoggedRequests, Secret};
use crate::server::{self, Listener};

/// How long requests may take to finish when the sidecar is told to stop: they wait for nobody.
const GRACE: Duration = Duration::from_secs(2);

/// Whoever may ask through the socket: the owner of its file and that one's group.
const SOCKET_MODE: u32 = 0o660;

/// Where a sidecar listens: on this machine, since it asks nobody who they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListenAt {
    /// A loopback address and a port.
    Loopback(SocketAddr),
    /// A socket in the file system.
    Socket(PathBuf),
}

/// Where a sidecar does not listen.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ListenAtError {
    /// Neither form.
    #[error("write it like 127.0.0.1:9191 or unix:/run/hallpass/sidecar.sock")]
    Malformed,
    /// Others could ask.
    #[error(
        "{0} is no loopback address: a sidecar answers whoever reaches it, so it listens on this machine alone"
    )]
    NotLoopback(SocketAddr),
}

impl FromStr for ListenAt {
    type Err = ListenAtError;

    fn from_str(text: &str) -> Result<Self, ListenAtError> {
        if let Some(path) = text.strip_prefix("unix:") {
            return match path.is_empty() {
                true => Err(ListenAtError::Malformed),
                false => Ok(Self::Socket(path.into())),
            };
        }
        let address: SocketAddr = text.parse().map_err(|_| ListenAtError::Malformed)?;
        match address.ip().to_canonical().is_loopback() {
            true => Ok(Self::Loopback(address)),
            false => Err(ListenAtError::NotLoopback(address)),
        }
    }
}

impl fmt::Display for ListenAt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Loopback(address) => address.fmt(f),
            Self::Socket(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// What a sidecar goes by.
#[derive(Debug)]
pub struct SidecarOptions {
    /// The issuer, exactly as tokens name it.
    pub issuer: String,
    /// Whom tokens must be for, exactly as they name it; one of several is enough.
    pub audiences: Vec<String>,
    /// Who the sidecar is to the issuer: a client with the scope `revocations:read`.
    pub client_id: String,
    /// That client's secret.
    pub client_secret: Secret,
    /// Where it listens.
    pub listen: ListenAt,
    /// Where the issuer is reached, if not at its own URL.
    pub reach_at: Option<String>,
    /// Certificates (PEM) to trust beside those of the machine.
    pub ca_file: Option<PathBuf>,
    /// Whether the way to the issuer may be without TLS though it leaves this machine.
    pub danger_allow_http: bool,
    /// How old the knowledge of revocations may be.
    pub max_staleness: Duration,
    /// Whether services are told of addresses that nobody has proven.
    pub unverified_email: bool,
    /// Which requests the log has a line for.
    pub logged: LoggedRequests,
}

/// Why a sidecar does not start.
#[derive(Debug, thiserror::Error)]
pub enum SidecarError {
    /// What it is to go by does not fit together.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// Tokens of nobody would be taken.
    #[error("an audience is needed")]
    NoAudience,
    /// The certificates cannot be read.
    #[error("{} cannot be read", .path.display())]
    Certificates {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Nothing can listen there.
    #[error("cannot listen on {at}")]
    Listen {
        /// Where.
        at: ListenAt,
        /// Why.
        source: io::Error,
    },
    /// Another sidecar listens there.
    #[error("cannot listen on unix:{}: another process does", .0.display())]
    Taken(PathBuf),
    /// The system does not let us listen for signals.
    #[error("the process cannot listen for signals")]
    Signals(#[source] io::Error),
}

/// Follows the issuer and answers until the process is told to stop. `listening` is told where, once requests
/// are answered there; whether they can be decided is for readiness to say.
///
/// # Errors
/// [`SidecarError`]; once it runs it does not fail.
pub async fn run_sidecar(options: SidecarOptions, listening: impl FnOnce(&str)) -> Result<(), SidecarError> {
    let stop = server::stop_signal().map_err(SidecarError::Signals)?;
    let validator = follow(&options).await?;
    let (listener, at) = listen(&options.listen).await?;
    let unverified = if options.unverified_email { UnverifiedEmail::Told } else { UnverifiedEmail::Withheld };
    let endpoint = api::build_sidecar(validator, Environment::real().random, unverified, options.logged);
    listening(&at);
    tracing::info!(at, issuer = options.issuer, audiences = ?options.audiences, "listening");
    supervisor::is_ready();
    if !server::serve(listener, endpoint, &limits(), server::Leaving::default(), stop, GRACE).await {
        tracing::warn!(grace = ?GRACE, "stopped with requests still running");
    }
    if let ListenAt::Socket(path) = &options.listen {
        // What stays is taken away by the next start.
        let _ = std::fs::remove_file(path);
    }
    tracing::info!("stopped");
    Ok(())
}

async fn follow(options: &SidecarOptions) -> Result<Validator, SidecarError> {
    let (audience, others) = options.audiences.split_first().ok_or(SidecarError::NoAudience)?;
    let mut builder = Validator::builder(&options.issuer, audience)
        .credentials(&options.client_id, options.client_secret.expose())
        .max_staleness(options.max_staleness);
    builder = others.iter().fold(builder, |builder, audience| builder.another_audience(audience));
    if let Some(url) = &options.reach_at {
        builder = builder.reach_at(url);
    }
    if let Some(path) = &options.ca_file {
        let pem = tokio::fs::read(path).await;
        let unreadable = |source| SidecarError::Certificates { path: path.clone(), source };
        builder = builder.root_certificates(pem.map_err(unreadable)?);
    }
    if options.danger_allow_http {
        builder = builder.danger_allow_http();
    }
    Ok(builder.connect_lazy()?)
}

/// Listens, and says where: with port 0, the system has picked one.
async fn listen(at: &ListenAt) -> Result<(Listener, String), SidecarError> {
    let failed = |source| SidecarError::Listen { at: at.clone(), source };
    match at {
        ListenAt::Loopback(address) => {
            let listener = TcpListener::bind(address).await.map_err(failed)?;
            let bound = listener.local_addr().map_err(failed)?;
            Ok((listener.into(), bound.to_string()))
        }
        ListenAt::Socket(path) => {
            take_away_what_is_left(path).await?;
            let listener = UnixListener::bind(path).map_err(failed)?;
            std::fs::set_permissions(path, Permissions::from_mode(SOCKET_MODE)).map_err(failed)?;
            Ok((listener.into(), at.to_string()))
        }
    }
}

/// Takes away the socket of a process that has gone, and nothing else that may be there.
async fn take_away_what_is_left(path: &Path) -> Result<(), SidecarError> {
    let is_socket = std::fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_socket());
    if !is_socket {
        return Ok(());
    }
    match UnixStream::connect(path).await {
        Ok(_) => Err(SidecarError::Taken(path.to_owned())),
        Err(_) => {
            // What cannot be taken away is in the way of listening, which says so.
            let _ = std::fs::remove_file(path);
            Ok(())
        }
    }
}

/// All that ask are of this machine, so one share is all there is.
fn limits() -> server::Limits {
    server::Limits {
        max_connections: 8192,
        max_connections_per_address: 8192,
        unbounded: server::Unbounded::default(),
        keep_alive: Duration::from_secs(75),
        header_timeout: Duration::from_secs(10),
        write_timeout: Duration::from_secs(30),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sidecar_listens_on_this_machine_alone() {
        for here in
            ["127.0.0.1:9191", "127.8.0.1:1", "[::1]:9191", "[::ffff:127.0.0.1]:9191", "unix:/run/a b"]
        {
            let at: ListenAt = here.parse().unwrap_or_else(|error| panic!("{here}: {error}"));
            assert_eq!(at.to_string(), here);
        }
        for elsewhere in ["0.0.0.0:9191", "[::]:9191", "192.0.2.7:9191", "[::ffff:192.0.2.7]:1"] {
            let error = elsewhere.parse::<ListenAt>().expect_err(elsewhere);
            assert_eq!(error, ListenAtError::NotLoopback(elsewhere.parse().expect("an address")));
        }
        for neither in ["", "unix:", "localhost:9191", "127.0.0.1", ":9191", "/run/a"] {
            assert_eq!(neither.parse::<ListenAt>(), Err(ListenAtError::Malformed), "{neither}");
        }
    }
}
