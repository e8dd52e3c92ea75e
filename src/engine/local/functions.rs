//! Functions that statements define: their text is recorded beside the views, under the name with `()` behind it, and they
//! become functions of each session whose query calls them.

use deltalake::datafusion::execution::session_state::SessionState;
use deltalake::datafusion::sql::parser::Statement;
use futures::FutureExt as _;
use futures::future::BoxFuture;

use super::super::{EngineError, ViewWrite};
use super::LocalEngine;
use super::catalog::Scope;
use crate::base::Code;
use crate::manifest::RelationName;
use crate::sql::{self, Argument, Command, CreateFunction, Definition, SqlError};

/// What a statement says of a function.
pub(super) fn definition(create: &CreateFunction, text: &str) -> Definition {
    let piece = |piece: &sql::Piece| text.get(piece.clone()).unwrap_or_default().to_owned();
    let arguments = create.arguments.iter().map(|argument| Argument {
        name: argument.name.value.clone(),
        data_type: argument.data_type.text.clone(),
        default: argument.default.as_ref().map(piece),
    });
    Definition { arguments: arguments.collect(), returns: create.returns.text.clone(), volatility: create.volatility, body: piece(&create.body) }
}

/// `create function`: it is planned before it is recorded.
pub(super) async fn create(engine: &LocalEngine, (create, text): (&CreateFunction, &str), write: ViewWrite) -> Result<(), EngineError> {
    let name = write.relation.clone();
    let recorded = name.of_function();
    if !create.or_replace && engine.views.get(&recorded).await?.is_some() {
        let error = SqlError::new(Code::SqlInvalid, format!("the function `{}` exists already", name.short())).range(create.name.range.clone());
        return Err(EngineError::Sql(Box::new(error.help("write `create or replace function`, or drop it first"))));
    }
    let mut state = engine.session();
    let open = vec![name.clone()];
    let placed = |error: EngineError| match error {
        EngineError::Sql(mut inner) => {
            inner.range = inner.range.map(|range| range.start + create.body.start..range.end + create.body.start);
            EngineError::Sql(inner)
        }
        other => other,
    };
    define(engine, &mut state, &name.to_string(), (&name, &definition(create, text)), open).await.map_err(placed)?;
    engine.views.put(&ViewWrite { relation: recorded, ..write }, engine.options.semantics).await.map(|_| ())
}

/// Makes the functions that a statement calls known to its session.
///
/// # Errors
/// If what is recorded of one of them does not plan any more.
pub(super) async fn register(
    engine: &LocalEngine,
    state: &mut SessionState,
    (statement, text): (&Statement, &str),
    scope: &Scope,
) -> Result<(), EngineError> {
    register_within(engine, state, statement, (scope, Vec::new())).await.map_err(|error| match error {
        EngineError::Sql(mut inner) if inner.code == Code::UnknownFunction && inner.range.is_none() => {
            inner.range = inner.message.split('`').nth(1).and_then(|name| sql::place_of(text, name.rsplit('.').next()?));
            EngineError::Sql(inner)
        }
        other => other,
    })
}

fn register_within<'a>(
    engine: &'a LocalEngine,
    state: &'a mut SessionState,
    statement: &'a Statement,
    (scope, open): (&'a Scope, Vec<RelationName>),
) -> BoxFuture<'a, Result<(), EngineError>> {
    async move {
        for call in sql::called_functions(statement) {
            let Some(name) = scope.of_parts(&call.parts) else { continue };
            let Some(record) = engine.views.get(&name.of_function()).await? else { return Err(unknown(&name)) };
            if open.contains(&name) {
                let message = format!("the function `{}` calls itself", name.short());
                return Err(EngineError::Sql(Box::new(SqlError::new(Code::Cycle, message))));
            }
            let Ok(Some(Command::CreateFunction(create))) = sql::parse_command(&record.sql) else { continue };
            let open = open.iter().cloned().chain([name.clone()]).collect();
            define(engine, state, &call.key, (&name, &definition(&create, &record.sql)), open).await.map_err(|error| within(error, &name))?;
        }
        Ok(())
    }
    .boxed()
}

/// Plans a function, and puts it into the session under the name by which it is called.
async fn define(
    engine: &LocalEngine,
    state: &mut SessionState,
    key: &str,
    (name, definition): (&RelationName, &Definition),
    open: Vec<RelationName>,
) -> Result<(), EngineError> {
    let scope = Scope { database: name.database.clone(), schema: name.schema.clone() };
    if let Some(body) = sql::parsed_body(state, definition) {
        register_within(engine, state, &body, (&scope, open)).await?;
    }
    let function = sql::scalar_function(state, key, definition).await.map_err(EngineError::Sql)?;
    sql::register(state, function);
    Ok(())
}

fn unknown(name: &RelationName) -> EngineError {
    let error = SqlError::new(Code::UnknownFunction, format!("there is no function `{}`", name.short()));
    let help = format!("it has not been made: `alluvium build --select {}` makes one of a project", name.identifier);
    EngineError::Sql(Box::new(error.help(help)))
}

/// An error inside of a function: its places are in the function's text, not in the query's.
fn within(error: EngineError, name: &RelationName) -> EngineError {
    match error {
        EngineError::Sql(mut inner) => {
            inner.range = None;
            inner.notes.push(format!("in the function `{}`", name.short()));
            EngineError::Sql(inner)
        }
        other => other,
    }
}

/// `drop function`. Tells whether it was there.
///
/// # Errors
/// If the record can't be written.
pub(super) async fn remove(engine: &LocalEngine, name: &RelationName) -> Result<bool, EngineError> {
    engine.views.remove(&name.of_function()).await
}
