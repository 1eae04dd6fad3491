//! What a `postgres://` URL says, before a driver sees it: which hosts (libpq's lists of several, which the
//! driver does not know), which schema, whether the server must take writes. Parameters that nobody would
//! heed are refused, since each was written for a reason.

use std::fmt;

/// What the driver heeds. `options[…]` is known as well.
const OF_THE_DRIVER: [&str; 19] = [
    "sslmode",
    "ssl-mode",
    "sslrootcert",
    "ssl-root-cert",
    "ssl-ca",
    "sslcert",
    "ssl-cert",
    "sslkey",
    "ssl-key",
    "statement-cache-capacity",
    "host",
    "hostaddr",
    "port",
    "dbname",
    "user",
    "password",
    "application_name",
    "options",
    "options[",
];

/// The longest name that Postgres keeps whole, bytes (NAMEDATALEN less one).
const NAME_MAX: usize = 63;

/// A `postgres://` URL, taken apart.
#[derive(Clone, PartialEq, Eq)]
pub struct PostgresUrl {
    hosts: Vec<String>,
    schema: Option<String>,
    needs_writes: bool,
}

/// What is wrong with a URL. The text quotes nothing that may be a password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{problem}")]
pub struct PostgresUrlError {
    problem: String,
}

/// Not derived: the URLs hold the password.
impl fmt::Debug for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresUrl").field("schema", &self.schema).finish_non_exhaustive()
    }
}

impl PostgresUrl {
    /// Takes a URL apart.
    ///
    /// # Errors
    /// It is none of Postgres, an `@` stands behind the host, or a parameter is unknown, given twice or has
    /// a value that cannot be heeded.
    pub fn parse(text: &str) -> Result<Self, PostgresUrlError> {
        let (scheme, rest) = ["postgres://", "postgresql://"]
            .iter()
            .find_map(|scheme| Some((*scheme, text.strip_prefix(scheme)?)))
            .ok_or_else(|| refused("it does not begin with postgres://"))?;
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, behind) = rest.split_at(end);
        if behind.contains('@') {
            return Err(refused(
                "an @ stands behind the host; write / ? # @ in a password as %2F %3F %23 %40",
            ));
        }
        if behind.contains('#') {
            return Err(refused("a # stands behind the host, which begins nothing there"));
        }
        let (account, hosts) = match authority.rsplit_once('@') {
            Some((account, hosts)) => (format!("{account}@"), hosts),
            None => (String::new(), authority),
        };
        let hosts: Vec<&str> = hosts.split(',').collect();
        if hosts.len() > 1 && hosts.iter().any(|host| host.is_empty()) {
            return Err(refused("a host of the list is empty"));
        }
        let (path, query) = behind.split_once('?').unwrap_or((behind, ""));
        let own = Parameters::read(query, hosts.len() > 1)?;
        let query = if own.others.is_empty() { String::new() } else { format!("?{}", own.others.join("&")) };
        Ok(Self {
            hosts: hosts.iter().map(|host| format!("{scheme}{account}{host}{path}{query}")).collect(),
            schema: own.schema,
            needs_writes: own.needs_writes.unwrap_or(hosts.len() > 1),
        })
    }

    /// A URL for each host, in the order in which they are tried. They hold the password.
    pub fn hosts(&self) -> &[String] {
        &self.hosts
    }

    /// The schema that everything is in, where one is named: a plain identifier.
    pub fn schema(&self) -> Option<&str> {
        self.schema.as_deref()
    }

    /// Whether a server that takes no writes is passed over (`target_session_attrs`).
    pub fn needs_writes(&self) -> bool {
        self.needs_writes
    }
}

#[derive(Default)]
struct Parameters<'a> {
    schema: Option<String>,
    needs_writes: Option<bool>,
    others: Vec<&'a str>,
}

impl<'a> Parameters<'a> {
    fn read(query: &'a str, several_hosts: bool) -> Result<Self, PostgresUrlError> {
        let mut read = Self::default();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            match name {
                "schema" if read.schema.is_some() => return Err(refused("`schema` is given twice")),
                "schema" => read.schema = Some(schema(value)?),
                "target_session_attrs" => {
                    if read.needs_writes.replace(needs_writes(value)?).is_some() {
                        return Err(refused("`target_session_attrs` is given twice"));
                    }
                }
                "host" | "hostaddr" | "port"
                    if several_hosts || value.contains(',') || value.contains("%2C") =>
                {
                    let problem = format!("`{name}` is a parameter and there are several hosts");
                    return Err(refused(format!(
                        "{problem}; write them as postgres://user@a:5432,b:5432/database"
                    )));
                }
                name if is_of_the_driver(name) => read.others.push(pair),
                name => return Err(unknown(name)),
            }
        }
        Ok(read)
    }
}

fn is_of_the_driver(name: &str) -> bool {
    OF_THE_DRIVER.contains(&name)
        || ["options[", "options%5B", "options%5b"].iter().any(|set| name.starts_with(set))
}

fn schema(value: &str) -> Result<String, PostgresUrlError> {
    let begins = value.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_');
    let plain = value.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if begins && plain && value.len() <= NAME_MAX {
        return Ok(value.to_owned());
    }
    Err(refused("`schema` is no name of letters, digits and underscores (63 at most)"))
}

/// hallpass writes, so that a server which only reads is of no use.
fn needs_writes(value: &str) -> Result<bool, PostgresUrlError> {
    match value {
        "read-write" | "primary" => Ok(true),
        "any" => Ok(false),
        _ => Err(refused(
            "`target_session_attrs` is neither read-write, primary nor any: hallpass has to write",
        )),
    }
}

fn unknown(name: &str) -> PostgresUrlError {
    let instead = match name {
        "connect_timeout" => "set `database.connect_timeout`",
        "connection_limit" | "pool_max_conns" | "pool_size" | "max_connections" => {
            "set `database.max_connections`"
        }
        "pool_timeout" => "set `database.acquire_timeout`",
        "statement_timeout" => "set `database.statement_timeout`",
        "pgbouncer" | "prepared_statements" | "statement_cache_mode" => {
            "leave it out: hallpass works behind PgBouncer as it is"
        }
        "search_path" | "currentSchema" => "write `schema`",
        "load_balance_hosts" => "leave it out: the hosts are tried in order",
        _ => "leave it out",
    };
    let name: String =
        name.chars().filter(|c| c.is_ascii_alphanumeric() || "_-".contains(*c)).take(40).collect();
    refused(format!("it has the parameter `{name}`, which hallpass does not know; {instead}"))
}

fn refused(problem: impl Into<String>) -> PostgresUrlError {
    PostgresUrlError { problem: problem.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(url: &str) -> String {
        PostgresUrl::parse(url).expect_err(url).to_string()
    }

    #[test]
    fn each_host_of_a_list_has_a_url_of_its_own() {
        let url = "postgresql://ada:a,b@one:5433,two,[::1]:5/db?sslmode=require&target_session_attrs=any";
        let parsed = PostgresUrl::parse(url).expect("a URL");
        assert_eq!(
            parsed.hosts(),
            [
                "postgresql://ada:a,b@one:5433/db?sslmode=require",
                "postgresql://ada:a,b@two/db?sslmode=require",
                "postgresql://ada:a,b@[::1]:5/db?sslmode=require",
            ]
        );
        assert!(!parsed.needs_writes());
        for bad in
            ["postgres://a,,b/db", "postgres://a,/db", "postgres://a,b/db?port=1", "postgres://a/db?host=b,c"]
        {
            assert!(PostgresUrl::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn of_several_servers_the_one_that_writes_is_wanted() {
        for (url, wanted) in [
            ("postgres://a/db", false),
            ("postgres://a,b/db", true),
            ("postgres://a/db?target_session_attrs=read-write", true),
            ("postgres://a/db?target_session_attrs=primary", true),
            ("postgres://a,b/db?target_session_attrs=any", false),
        ] {
            assert_eq!(PostgresUrl::parse(url).expect(url).needs_writes(), wanted, "{url}");
        }
        for only_reads in ["standby", "prefer-standby", "read-only", "", "x"] {
            let said = problem(&format!("postgres://a/db?target_session_attrs={only_reads}"));
            assert!(said.contains("read-write"), "{said}");
        }
    }

    #[test]
    fn a_schema_is_a_plain_name() {
        let parsed = PostgresUrl::parse("postgres://a/db?schema=Auth_1&user=x").expect("a URL");
        assert_eq!(
            (parsed.schema(), parsed.hosts()),
            (Some("Auth_1"), &["postgres://a/db?user=x".to_owned()][..])
        );
        let long = format!("postgres://a/db?schema={}", "x".repeat(64));
        for bad in
            ["postgres://a/db?schema=", "postgres://a/db?schema=a%22b", "postgres://a/db?schema=1", &long]
        {
            assert!(problem(bad).contains("schema"), "{bad}");
        }
        assert!(problem("postgres://a/db?schema=a&schema=b").contains("twice"));
    }

    #[test]
    fn a_parameter_that_nobody_heeds_is_refused_with_what_to_do() {
        for (name, said) in [
            ("connect_timeout", "database.connect_timeout"),
            ("pgbouncer", "leave it out"),
            ("connection_limit", "database.max_connections"),
            ("currentSchema", "schema"),
            ("channel_binding", "leave it out"),
        ] {
            let problem = problem(&format!("postgres://a/db?{name}=hunter2"));
            assert!(problem.contains(said) && problem.contains(name), "{problem}");
            assert!(!problem.contains("hunter2"), "{problem}");
        }
        for known in ["sslmode=require", "options[geqo]=off", "options%5Bgeqo%5D=off", "application_name=x"] {
            assert!(PostgresUrl::parse(&format!("postgres://a/db?{known}")).is_ok(), "{known}");
        }
    }
}
