//! What lasts, on Postgres: for several replicas, or a database that is there already.

mod executor;
mod journal;
mod migration;
mod options;
mod pool;
mod rights;
mod store;
mod users;
mod verdict;

pub(in crate::store::sql) use self::journal::append_in;
pub use self::options::PostgresOptions;
pub use self::rights::Lack;
pub use self::store::PostgresStore;
