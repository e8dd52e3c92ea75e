//! Constraints of contracts as text of SQL, and what else `adapter` tells without asking the warehouse.

use minijinja::value::ValueKind;
use minijinja::{Error, Value};

use crate::base::Code;
use crate::jinja::containers::{collect, new_dict, new_list, pairs};
use crate::jinja::error::problem;
use crate::jinja::python::text;
use crate::jinja::session::Session;
use crate::jinja::values::{bind_args, describe, required};
use crate::manifest::IncrementalStrategy;

pub(super) const METHODS: [&str; 6] = [
    "render_raw_columns_constraints",
    "render_raw_model_constraints",
    "standardize_grants_dict",
    "valid_incremental_strategies",
    "get_hard_deletes_behavior",
    "convert_type",
];

/// Calls one of [`METHODS`].
pub(super) fn call(session: &Session, method: &str, args: &[Value]) -> Result<Value, Error> {
    match method {
        "render_raw_columns_constraints" => {
            let [columns] = bind_args(method, ["raw_columns"], args)?;
            let columns = pairs(&required(method, "raw_columns", columns)?)?;
            Ok(new_list(columns.iter().map(|(_, column)| of_column(session, column).map(Value::from)).collect::<Result<_, _>>()?))
        }
        "render_raw_model_constraints" => {
            let [constraints] = bind_args(method, ["raw_constraints"], args)?;
            let constraints = collect(&required(method, "raw_constraints", constraints)?)?;
            let rendered = constraints.iter().map(|constraint| of_model(&Constraint(constraint))).collect::<Result<Vec<_>, _>>()?;
            Ok(new_list(rendered.into_iter().flatten().map(Value::from).collect()))
        }
        "standardize_grants_dict" => {
            let [table] = bind_args(method, ["grants_table"], args)?;
            let mut grants: indexmap::IndexMap<Value, Vec<Value>> = indexmap::IndexMap::new();
            for row in collect(&required(method, "grants_table", table)?)? {
                let privilege = row.get_item(&Value::from("privilege_type"))?;
                grants.entry(privilege).or_default().push(row.get_item(&Value::from("grantee"))?);
            }
            Ok(new_dict(grants.into_iter().map(|(privilege, grantees)| (privilege, new_list(grantees)))))
        }
        "valid_incremental_strategies" => Ok(new_list(IncrementalStrategy::NAMES.into_iter().map(Value::from).collect())),
        "get_hard_deletes_behavior" => hard_deletes(args),
        _ => {
            let [table, index] = bind_args(method, ["agate_table", "col_idx"], args)?;
            let types = required(method, "agate_table", table)?.get_attr("column_types")?;
            Ok(Value::from(text(&types.get_item(&required(method, "col_idx", index)?)?).to_lowercase()))
        }
    }
}

fn hard_deletes(args: &[Value]) -> Result<Value, Error> {
    let [config] = bind_args("adapter.get_hard_deletes_behavior", ["config"], args)?;
    let config = required("adapter.get_hard_deletes_behavior", "config", config)?;
    let given = |name: &str| config.get_item(&Value::from(name)).ok().filter(|value| !value.is_undefined() && !value.is_none());
    match (given("invalidate_hard_deletes"), given("hard_deletes")) {
        (Some(_), Some(_)) => Err(problem(Code::JinjaRuntime, "`hard_deletes` and `invalidate_hard_deletes` can't both be set")),
        (Some(flag), None) => Ok(Value::from(if flag.is_true() { "invalidate" } else { "ignore" })),
        (None, None) => Ok(Value::from("ignore")),
        (None, Some(kind)) if matches!(kind.as_str(), Some("ignore" | "new_record" | "invalidate")) => Ok(kind),
        (None, Some(kind)) => {
            Err(problem(Code::JinjaRuntime, format!("`hard_deletes` is `ignore`, `new_record` or `invalidate`, found {}", describe(&kind))))
        }
    }
}

/// A constraint as a properties file has it.
struct Constraint<'v>(&'v Value);

impl Constraint<'_> {
    fn text(&self, key: &str) -> Option<String> {
        let found = self.0.get_item(&Value::from(key)).ok().filter(|value| !value.is_undefined() && !value.is_none());
        found.map(|value| text(&value)).filter(|text| !text.is_empty())
    }

    fn names(&self, key: &str) -> Result<String, Error> {
        let found = self.0.get_item(&Value::from(key)).ok().filter(|value| matches!(value.kind(), ValueKind::Seq | ValueKind::Iterable));
        let names = found.map(|names| collect(&names)).transpose()?.unwrap_or_default();
        Ok(names.iter().map(text).collect::<Vec<_>>().join(", "))
    }

    /// `references ..` of a foreign key.
    fn references(&self) -> Result<Option<String>, Error> {
        let columns = self.names("to_columns")?;
        Ok(match (self.text("to").filter(|_| !columns.is_empty()), self.text("expression")) {
            (Some(to), _) => Some(format!("references {to} ({columns})")),
            (None, Some(expression)) => Some(format!("references {expression}")),
            (None, None) => None,
        })
    }
}

fn of_column(session: &Session, column: &Value) -> Result<String, Error> {
    let own = Constraint(column);
    let name = own.text("name").unwrap_or_default();
    let quoted = column.get_item(&Value::from("quote")).is_ok_and(|quote| quote.is_true());
    let mut parts = vec![if quoted { session.semantics().quote_ident(&name) } else { name }];
    parts.extend(own.text("data_type"));
    let constraints = column.get_item(&Value::from("constraints")).ok().filter(|value| value.kind() == ValueKind::Seq);
    for constraint in constraints.map(|constraints| collect(&constraints)).transpose()?.unwrap_or_default() {
        let constraint = Constraint(&constraint);
        let expression = constraint.text("expression");
        let with = |word: &str| Some(expression.as_ref().map_or_else(|| word.to_owned(), |expression| format!("{word} {expression}")));
        parts.extend(match constraint.text("type").as_deref() {
            Some("not_null") => with("not null"),
            Some("unique") => with("unique"),
            Some("primary_key") => with("primary key"),
            Some("check") => expression.map(|expression| format!("check ({expression})")),
            Some("foreign_key") => constraint.references()?,
            Some("custom") => expression,
            other => return Err(unknown(other)),
        });
    }
    Ok(parts.join(" "))
}

fn of_model(constraint: &Constraint<'_>) -> Result<Option<String>, Error> {
    let name = constraint.text("name").map_or_else(String::new, |name| format!("constraint {name} "));
    let columns = constraint.names("columns")?;
    let expression = constraint.text("expression");
    let with = |word: &str| {
        let expression = expression.as_ref().map_or_else(String::new, |expression| format!(" {expression}"));
        Some(format!("{word}{expression} ({columns})"))
    };
    let body = match constraint.text("type").as_deref() {
        Some("unique") => with("unique"),
        Some("primary_key") => with("primary key"),
        Some("check") => expression.map(|expression| format!("check ({expression})")),
        Some("foreign_key") => constraint.references()?.map(|references| format!("foreign key ({columns}) {references}")),
        Some("custom") => expression,
        Some("not_null") => None,
        other => return Err(unknown(other)),
    };
    Ok(body.map(|body| name + &body))
}

fn unknown(kind: Option<&str>) -> Error {
    problem(Code::JinjaRuntime, format!("`{}` is no type of a constraint", kind.unwrap_or_default()))
}
