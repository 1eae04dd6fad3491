//! How statements are run over the [`Pool`]: prepared without a name, each in a transaction.

use futures_util::future::BoxFuture;
use futures_util::stream::{self, BoxStream};
use futures_util::{StreamExt, TryStreamExt};
use sqlx::error::BoxDynError;
use sqlx::postgres::{PgArguments, PgQueryResult, PgRow, PgStatement, PgTypeInfo};
use sqlx::{Describe, Either, Execute, Executor, Postgres, SqlStr};

use super::pool::{Pool, Transaction};

/// A row, or how many were touched.
type Answer = Either<PgQueryResult, PgRow>;

/// A statement that is prepared without a name.
struct Statement {
    sql: SqlStr,
    arguments: Result<Option<PgArguments>, BoxDynError>,
}

impl Statement {
    fn of<'q>(mut query: impl Execute<'q, Postgres>) -> Self {
        let arguments = query.take_arguments();
        Self { sql: query.sql(), arguments }
    }
}

impl Execute<'_, Postgres> for Statement {
    fn sql(self) -> SqlStr {
        self.sql
    }

    fn statement(&self) -> Option<&PgStatement> {
        None
    }

    fn take_arguments(&mut self) -> Result<Option<PgArguments>, BoxDynError> {
        std::mem::replace(&mut self.arguments, Ok(None))
    }

    fn persistent(&self) -> bool {
        false
    }
}

fn rows(answers: Vec<Answer>) -> Option<PgRow> {
    answers.into_iter().find_map(Either::right)
}

/// Runs statements by the `run` of what they are given to.
macro_rules! run_by {
    ($($(#[$doc:meta])* $on:ty;)+) => {$(
        $(#[$doc])*
        impl<'c> Executor<'c> for $on {
            type Database = Postgres;

            fn fetch_many<'e, 'q: 'e, E>(self, query: E) -> BoxStream<'e, sqlx::Result<Answer>>
            where
                'c: 'e,
                E: 'q + Execute<'q, Postgres>,
            {
                let statement = Statement::of(query);
                let answers = async move { Ok::<_, sqlx::Error>(stream::iter(self.run(statement).await?).map(Ok)) };
                stream::once(answers).try_flatten().boxed()
            }

            fn fetch_optional<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, sqlx::Result<Option<PgRow>>>
            where
                'c: 'e,
                E: 'q + Execute<'q, Postgres>,
            {
                let statement = Statement::of(query);
                Box::pin(async move { self.run(statement).await.map(rows) })
            }

            fn prepare_with<'e>(self, _: SqlStr, _: &'e [PgTypeInfo]) -> BoxFuture<'e, sqlx::Result<PgStatement>>
            where
                'c: 'e,
            {
                Box::pin(async { Err(nothing_is_prepared()) })
            }

            fn describe<'e>(self, _: SqlStr) -> BoxFuture<'e, sqlx::Result<Describe<Postgres>>>
            where
                'c: 'e,
            {
                Box::pin(async { Err(nothing_is_prepared()) })
            }
        }
    )+};
}

run_by! {
    /// Statements of a transaction.
    &'c mut Transaction;
    /// Statements that are each a transaction of their own.
    &'c Pool;
}

impl Transaction {
    async fn run(&mut self, statement: Statement) -> sqlx::Result<Vec<Answer>> {
        self.connection()?.fetch_many(statement).try_collect().await
    }
}

impl Pool {
    async fn run(&self, statement: Statement) -> sqlx::Result<Vec<Answer>> {
        let mut transaction = self.begin().await?;
        let answers = transaction.run(statement).await?;
        transaction.commit().await?;
        Ok(answers)
    }
}

fn nothing_is_prepared() -> sqlx::Error {
    sqlx::Error::Protocol("statements are not kept between transactions".to_owned())
}
