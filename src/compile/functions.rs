//! Functions of the project in queries: their bodies are planned by themselves, and stand behind the names by which
//! queries call them.

use std::collections::BTreeMap;

use deltalake::datafusion::logical_expr::ScalarUDF;
use deltalake::datafusion::sql::parser::Statement;
use futures::FutureExt as _;
use futures::future::{BoxFuture, ready};
use serde_json::Value as Json;

use super::Compilation;
use super::planner::Planner;
use crate::manifest::{FunctionDetails, Node, NodeId};
use crate::resolve::Project;
use crate::sql::{Argument, Definition, SqlError, Volatility, called_functions, parsed_body};

/// The functions that a statement calls; `None` where one of them is not known before a run.
pub(super) fn called<'a>(
    project: &'a Project,
    planner: &'a Planner,
    statement: &'a Statement,
    done: &'a BTreeMap<NodeId, Compilation>,
) -> BoxFuture<'a, Option<Vec<ScalarUDF>>> {
    let calls = called_functions(statement);
    if calls.is_empty() {
        return ready(Some(Vec::new())).boxed();
    }
    async move {
        let mut found = Vec::new();
        for call in calls {
            let node = planner.full_name(&call.parts).and_then(|name| project.node_of_relation(&name.of_function()))?;
            let Some(Compilation::Ready(compiled)) = done.get(&node.id) else { return None };
            let definition = definition(node, node.function()?, &compiled.sql);
            // What is wrong with a function is said where it is compiled.
            found.push(function(project, planner, &call.key, &definition, done).await?.ok()?);
        }
        Some(found)
    }
    .boxed()
}

/// The name of a function that a statement calls and that is none of the project.
pub(super) fn stranger(project: &Project, planner: &Planner, statement: &Statement) -> Option<String> {
    let known = |parts: &[String]| planner.full_name(parts).and_then(|name| project.node_of_relation(&name.of_function())).is_some();
    called_functions(statement).into_iter().find(|call| !known(&call.parts)).map(|call| call.parts.join("."))
}

/// Plans the body of a function; `None` where it calls one that is not known before a run.
pub(super) async fn function(
    project: &Project,
    planner: &Planner,
    key: &str,
    definition: &Definition,
    done: &BTreeMap<NodeId, Compilation>,
) -> Option<Result<ScalarUDF, Box<SqlError>>> {
    let inner = match parsed_body(planner.base(), definition) {
        Some(body) => called(project, planner, &body, done).await?,
        None => Vec::new(),
    };
    Some(planner.function(key, definition, inner).await)
}

/// Whether the node is one that is made here: a scalar function in SQL.
pub(super) fn is_scalar(node: &Node) -> bool {
    node.config.raw.get("type").and_then(Json::as_str).is_none_or(|kind| kind == "scalar") && node.language == "sql"
}

pub(super) fn definition(node: &Node, details: &FunctionDetails, body: &str) -> Definition {
    let arguments = details.arguments.iter().map(|argument| Argument {
        name: argument.name.clone(),
        data_type: argument.data_type.clone(),
        default: argument.default.as_ref().map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned)),
    });
    let volatility = match node.config.raw.get("volatility").and_then(Json::as_str) {
        Some("deterministic") => Some(Volatility::Deterministic),
        Some("stable") => Some(Volatility::Stable),
        Some("non-deterministic") => Some(Volatility::NonDeterministic),
        Some(_) | None => None,
    };
    Definition { arguments: arguments.collect(), returns: details.returns.clone(), volatility, body: body.to_owned() }
}
