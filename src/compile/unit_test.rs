//! A unit test becomes SQL: the tested model's query over fixtures in the place of what it reads, and a query that gives
//! its rows beside the expected ones.
//!
//! Fixtures are typed after the columns of what they stand for: those of a compiled model, a seed's file, a table that is
//! there, or the declared columns of a source. So no table needs to be built for a unit test.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex};

use deltalake::arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use serde_json::{Map, Value as Json};

use super::host::{NodeHost, UnitGround};
use super::node::{render, schemas, with_ctes};
use super::{Asked, Compilation, CompiledNode, Planner, ScriptText, Surroundings, compile_node, cte_name, functions, render_script};
use crate::base::{Code, Diagnostic, Span, nearest};
use crate::jinja::RenderFailure;
use crate::manifest::{Fixture, FixtureRows, Node, NodeId, NodeKind, ResourceType, UnitTest};
use crate::resolve::Project;
use crate::sql::{Semantics, SqlError, quote_ident, respelt_texts, type_name};

/// The comparison of a unit test.
#[derive(Debug, Clone)]
pub struct UnitQuery {
    /// Yields the rows of both sides; the last column is `actual` or `expected`.
    pub sql: String,
    /// The columns that are compared.
    pub columns: Vec<String>,
}

/// What all steps of compiling one unit test share.
struct Ground<'a> {
    project: &'a Arc<Project>,
    planner: &'a Planner,
    done: &'a BTreeMap<NodeId, Compilation>,
    surroundings: &'a Arc<dyn Surroundings>,
    /// Models that were compiled for their columns alone.
    aside: BTreeMap<NodeId, Compilation>,
}

/// Compiles a unit test. `done` holds what was compiled before, as far as it was.
#[expect(clippy::too_many_arguments, reason = "as compiling any node, and the unit test in it")]
pub(super) async fn compile_unit_test(
    project: &Arc<Project>,
    planner: &Planner,
    node: &Node,
    unit: &UnitTest,
    done: &BTreeMap<NodeId, Compilation>,
    surroundings: &Arc<dyn Surroundings>,
) -> Compilation {
    let unit = match rendered_rows(project, node, unit, surroundings).await {
        Ok(unit) => unit,
        Err(found) => return Compilation::Failed(found.into()),
    };
    let mut ground = Ground { project, planner, done, surroundings, aside: BTreeMap::new() };
    let (mut ctes, mut inputs, mut found) = (Vec::new(), BTreeMap::new(), Vec::new());
    for given in &unit.given {
        let Some(input) = project.nodes.get(&given.node) else { continue };
        let name = cte_name(&input_name(input));
        match ground.fixture(input, &given.fixture).await {
            Ok(Some(sql)) => ctes.push((name.clone(), sql)),
            Ok(None) => return Compilation::Skipped { because: input.id.clone() },
            Err(diagnostics) => found.extend(diagnostics),
        }
        inputs.insert(given.node.clone(), name);
    }
    if !found.is_empty() {
        return Compilation::Failed(found.into());
    }
    let host = NodeHost {
        project: Arc::clone(project),
        node: unit.tested.clone(),
        home: node.package.clone(),
        surroundings: Arc::clone(surroundings),
        incremental: false,
        ephemeral: Mutex::default(),
        batch: None,
        unit: Some(UnitGround { test: node.id.clone(), name: node.name.clone(), inputs, overrides: unit.overrides.clone().unwrap_or_default() }),
    };
    let rendered = match render(project, &unit.tested, host).await {
        Ok((rendered, _)) => rendered,
        Err(RenderFailure::Deferred { reason }) => return Compilation::Deferred { reason },
        Err(RenderFailure::Diagnostics(diagnostics)) => return Compilation::Failed(diagnostics.into()),
    };
    let mut compiled = with_ctes(project, node, rendered, ctes);
    ground.add_functions(&unit.tested).await;
    match ground.compare(node, &unit, &mut compiled).await {
        Ok(true) => Compilation::Ready(Arc::new(compiled)),
        Ok(false) => Compilation::Deferred { reason: "it reads something whose columns are not known before a run".into() },
        Err(diagnostics) => Compilation::Failed(diagnostics.into()),
    }
}

/// The unit test with the Jinja in its SQL rows rendered, as in dbt.
async fn rendered_rows(
    project: &Arc<Project>,
    node: &Node,
    unit: &UnitTest,
    surroundings: &Arc<dyn Surroundings>,
) -> Result<UnitTest, Vec<Diagnostic>> {
    let mut unit = unit.clone();
    for fixture in unit.given.iter_mut().map(|given| &mut given.fixture).chain([&mut unit.expect]) {
        let FixtureRows::Sql(sql) = &mut fixture.rows else { continue };
        if ["{{", "{%", "{#"].iter().any(|open| sql.contains(open)) {
            let text = ScriptText { text: sql.clone(), span: fixture.span, package: node.package.clone(), node: node.id.clone(), values: Map::new() };
            *sql = render_script(project, text, surroundings).await?;
        }
        if let Cow::Owned(text) = respelt_texts(project.target.semantics(), sql) {
            *sql = text;
        }
    }
    Ok(unit)
}

/// What the CTE of an input is called after: sources by both names, versions with their number.
fn input_name(node: &Node) -> String {
    match (&node.kind, &node.model.version) {
        (NodeKind::Source { source_name, .. }, _) => format!("{source_name}__{}", node.name),
        (_, Some(version)) => format!("{}_v{version}", node.name),
        (_, None) => node.name.clone(),
    }
}

impl Ground<'_> {
    /// The query that stands for an input; `None` where a check can't tell its columns, of which it speaks elsewhere.
    async fn fixture(&mut self, input: &Node, fixture: &Fixture) -> Result<Option<String>, Vec<Diagnostic>> {
        let rows = match &fixture.rows {
            FixtureRows::Sql(sql) => return Ok(Some(sql.clone())),
            FixtureRows::Rows(rows) => rows,
        };
        let Some(schema) = self.columns(input).await else {
            if !self.surroundings.may_block() {
                return Ok(None);
            }
            let message = format!("the columns of `{}` are not known, so its fixture has no types", input.label());
            let help = if input.resource_type() == ResourceType::Source {
                "load it, declare its columns with `data_type`, or write the rows with `format: sql`"
            } else {
                "build it first, or write the rows with `format: sql`"
            };
            return Err(vec![Diagnostic::error(Code::UnitTestInput, message).at(fixture.span, "this input").help(help)]);
        };
        let names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
        let of = format!("`{}`", input.label());
        let wrong = wrong_names(rows, |name| check_name(name, &names, &of, self.project.sources.word(fixture.span, name)));
        if wrong.is_empty() { Ok(Some(rows_query(schema.fields(), rows))) } else { Err(wrong) }
    }

    /// The columns of a node's relation.
    async fn columns(&mut self, node: &Node) -> Option<SchemaRef> {
        if matches!(node.resource_type(), ResourceType::Model | ResourceType::Snapshot)
            && let Compilation::Ready(compiled) = self.compiled(node).await
            && let Some(schema) = &compiled.schema
        {
            return Some(Arc::clone(schema));
        }
        let there = self.surroundings.schema(node).await;
        there.or_else(|| declared(node, self.project.target.semantics()))
    }

    /// A node as it was compiled before, or as it is compiled now for its columns.
    async fn compiled(&mut self, node: &Node) -> Compilation {
        if let Some(known) = self.done.get(&node.id).or_else(|| self.aside.get(&node.id)) {
            return known.clone();
        }
        let mut known = BTreeMap::new();
        for parent in &node.depends_on {
            let Some(parent) = self.project.nodes.get(parent) else { continue };
            if matches!(parent.resource_type(), ResourceType::Model | ResourceType::Seed | ResourceType::Snapshot | ResourceType::Function) {
                known.insert(parent.id.clone(), Box::pin(self.compiled(parent)).await);
            }
        }
        let compilation = Box::pin(compile_node(self.project, self.planner, node, &known, self.surroundings)).await;
        self.aside.insert(node.id.clone(), compilation.clone());
        compilation
    }

    /// Compiles the functions that the tested model calls, where that was not done.
    async fn add_functions(&mut self, tested: &NodeId) {
        let project = Arc::clone(self.project);
        let parents = project.nodes.get(tested).into_iter().flat_map(|node| &node.depends_on);
        for function in parents.filter_map(|id| project.nodes.get(id)).filter(|node| node.function().is_some()) {
            self.compiled(function).await;
        }
    }

    /// Adds the comparison with what is expected. False where the query's columns are not known yet.
    async fn compare(&self, node: &Node, unit: &UnitTest, compiled: &mut CompiledNode) -> Result<bool, Vec<Diagnostic>> {
        let failed = |compiled: &CompiledNode, error: &SqlError| vec![compiled.diagnose(error, "this unit test")];
        let statement = self.planner.parse(&compiled.sql).map_err(|error| failed(compiled, &error))?;
        let named = self.planner.tables(&statement, &compiled.sql).map_err(|error| failed(compiled, &error))?;
        let (files, named) = super::files::parted(self.planner, named);
        let files = super::files::schemas((node, compiled), files, &statement, self.surroundings.as_ref()).await?;
        if !named.is_empty() {
            self.surroundings.note(Asked::Beyond);
        }
        let Some(tables) = schemas(self.project, self.planner, (node, named), self.done, self.surroundings).await else { return Ok(false) };
        let Some(files) = files else { return Ok(false) };
        let mut known = self.done.clone();
        known.extend(self.aside.clone());
        let Some(called) = functions::called(self.project, self.planner, &statement, &known).await else { return Ok(false) };
        let all = |errors: Vec<SqlError>| {
            let shown = |error| self.of_value(unit, error).map_or_else(|| failed(compiled, error), |found| vec![found]);
            errors.iter().flat_map(shown).collect::<Vec<_>>()
        };
        let planned = self.planner.plan(&compiled.sql, statement, (tables, files), called).await;
        let schema = planned.and_then(|planned| planned.fit_for(node)).map_err(all)?.schema;
        let (fields, expected) = expected(self.project, node, unit, &schema)?;
        if let Ok(statement) = self.planner.parse(&expected) {
            let wrong = self.planner.plan(&expected, statement, (Vec::new(), Vec::new()), Vec::new()).await.err().unwrap_or_default();
            let wrong: Vec<Diagnostic> = wrong.iter().filter_map(|error| self.of_value(unit, error)).collect();
            if !wrong.is_empty() {
                return Err(wrong);
            }
        }
        let columns: Vec<String> = fields.iter().map(|field| field.name().clone()).collect();
        compiled.unit = Some(UnitQuery { sql: comparison(&compiled.sql, &expected, &columns), columns });
        Ok(true)
    }
}

impl Ground<'_> {
    /// A value of a fixture that its column can't take.
    fn of_value(&self, unit: &UnitTest, error: &SqlError) -> Option<Diagnostic> {
        let (value, _) = error.message.strip_prefix('`')?.split_once("` is not a value of type ")?;
        let fixtures = unit.given.iter().map(|given| given.fixture.span).chain([unit.expect.span]);
        let place = fixtures.map(|span| (span, self.project.sources.word(span, value))).find(|(span, place)| span != place)?.1;
        Some(
            Diagnostic::error(Code::UnitTestInput, error.message.clone())
                .at(place, "this value")
                .help("write a value that the column can have, or null"),
        )
    }
}

/// The columns that a properties file declares, if it gives all their types.
fn declared(node: &Node, semantics: Semantics) -> Option<SchemaRef> {
    let field = |column: &crate::manifest::ColumnDecl| Some(Field::new(&column.name, semantics.parse_type(column.data_type.as_deref()?).ok()?, true));
    let fields: Option<Vec<Field>> = node.columns.values().map(field).collect();
    fields.filter(|fields| !fields.is_empty()).map(|fields| Arc::new(Schema::new(fields)))
}

/// The columns to compare and the query of the expected rows. The first row says which columns are looked at.
fn expected(project: &Project, node: &Node, unit: &UnitTest, schema: &SchemaRef) -> Result<(Vec<FieldRef>, String), Vec<Diagnostic>> {
    let all: Vec<FieldRef> = schema.fields().iter().cloned().collect();
    let rows = match &unit.expect.rows {
        FixtureRows::Sql(sql) => return Ok((all, sql.clone())),
        FixtureRows::Rows(rows) => rows,
    };
    let Some(first) = rows.first() else { return Ok((all.clone(), rows_query(&all, rows))) };
    let names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    let of = format!("the rows that `{}` expects", node.name);
    let wrong = wrong_names(rows, |name| check_name(name, &names, &of, project.sources.word(unit.expect.span, name)));
    if !wrong.is_empty() {
        return Err(wrong);
    }
    for name in rows.iter().flat_map(Map::keys) {
        if !first.keys().any(|other| other.eq_ignore_ascii_case(name)) {
            let message = format!("a row that `{}` expects has the column `{name}`, which the first row does not have", node.name);
            let diagnostic = Diagnostic::error(Code::UnitTestInput, message).at(unit.expect.span, "these rows");
            return Err(vec![diagnostic.help("give every expected row the same columns")]);
        }
    }
    let chosen: Vec<FieldRef> =
        first.keys().filter_map(|name| all.iter().find(|field| field.name().eq_ignore_ascii_case(name)).map(Arc::clone)).collect();
    let sql = rows_query(&chosen, rows);
    Ok((chosen, sql))
}

/// What is wrong with the names of the columns that rows have, each told once.
fn wrong_names(rows: &[Map<String, Json>], check: impl Fn(&str) -> Result<(), Box<Diagnostic>>) -> Vec<Diagnostic> {
    let mut seen = std::collections::BTreeSet::new();
    let names = rows.iter().flat_map(Map::keys).filter(|name| seen.insert(name.as_str()));
    names.filter_map(|name| check(name).err()).map(|found| *found).collect()
}

fn check_name(name: &str, known: &[&str], what: &str, span: Span) -> Result<(), Box<Diagnostic>> {
    if known.iter().any(|column| column.eq_ignore_ascii_case(name)) {
        return Ok(());
    }
    let message = format!("invalid column name `{name}` in a unit test's fixture for {what}");
    Err(Box::new(
        Diagnostic::error(Code::UnitTestInput, message)
            .at(span, "these rows")
            .note(format!("the columns are {}", known.join(", ")))
            .help_nearest(nearest(name, known.iter().copied()), "take the column out"),
    ))
}

/// Rows as a query: every value cast to the type of its column, what a row does not have is NULL.
fn rows_query<'a>(fields: impl IntoIterator<Item = &'a FieldRef>, rows: &[Map<String, Json>]) -> String {
    let fields: Vec<&FieldRef> = fields.into_iter().collect();
    let select = |row: &Map<String, Json>| {
        let value = |field: &FieldRef| row.iter().find(|(name, _)| name.eq_ignore_ascii_case(field.name())).map_or(&Json::Null, |(_, value)| value);
        let column = |field: &&FieldRef| format!("{} as {}", cast(value(field), field.data_type()), quote_ident(field.name()));
        format!("select {}", fields.iter().map(column).collect::<Vec<_>>().join(", "))
    };
    if rows.is_empty() {
        return format!("{} where false", select(&Map::new()));
    }
    rows.iter().map(select).collect::<Vec<_>>().join("\nunion all\n")
}

fn cast(value: &Json, to: &DataType) -> String {
    match value {
        _ if *to == DataType::Null => literal(value),
        Json::String(text) if matches!(to, DataType::Timestamp(..)) => format!("cast({} as {})", quoted(&with_whole_zone(text)), type_name(to)),
        _ => format!("cast({} as {})", literal(value), type_name(to)),
    }
}

/// A time whose zone is hours only, as Postgres prints it (`-0`, `+2`), with the minutes that others want.
fn with_whole_zone(text: &str) -> String {
    let zone = text.rfind(['+', '-']).filter(|at| text.get(..*at).is_some_and(|time| time.contains(':')));
    match zone.and_then(|at| Some((text.get(..=at)?, text.get(at + 1..)?))) {
        Some((time, hours)) if matches!(hours.len(), 1 | 2) && hours.bytes().all(|byte| byte.is_ascii_digit()) => format!("{time}{hours:0>2}:00"),
        _ => text.to_owned(),
    }
}

fn literal(value: &Json) -> String {
    match value {
        Json::Null => "null".to_owned(),
        Json::Bool(flag) => flag.to_string(),
        Json::Number(number) => number.to_string(),
        Json::String(text) => quoted(text),
        Json::Array(items) => format!("make_array({})", items.iter().map(literal).collect::<Vec<_>>().join(", ")),
        Json::Object(map) => {
            let mut fields = String::new();
            for (name, value) in map {
                let comma = if fields.is_empty() { "" } else { ", " };
                write!(fields, "{comma}{}, {}", quoted(name), literal(value)).unwrap_or_default();
            }
            format!("named_struct({fields})")
        }
    }
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// The rows of both sides, as dbt puts them together.
fn comparison(actual: &str, expected: &str, columns: &[String]) -> String {
    let columns: Vec<String> = columns.iter().map(|column| quote_ident(column)).collect();
    let columns = columns.join(", ");
    let side = |name: &str, sql: &str| {
        format!(
            "dbt_internal_unit_test_{name} as (\n  select {columns}, '{name}' as \"actual_or_expected\"\n  from (\n{}\n  ) as _dbt_internal_unit_test_{name}\n)",
            sql.trim().trim_end_matches(';')
        )
    };
    format!(
        "with {},\n{}\nselect * from dbt_internal_unit_test_actual\nunion all\nselect * from dbt_internal_unit_test_expected",
        side("actual", actual),
        side("expected", expected)
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn zones_of_hours_get_minutes() {
        assert_eq!(with_whole_zone("2013-11-03 00:00:00-0"), "2013-11-03 00:00:00-00:00");
        assert_eq!(with_whole_zone("2013-11-03 00:00:00+02"), "2013-11-03 00:00:00+02:00");
        for as_it_is in ["2013-11-03", "2013-11-03 00:00:00", "2013-11-03 00:00:00+02:00", "2013-11-03T00:00:00Z", "-1"] {
            assert_eq!(with_whole_zone(as_it_is), as_it_is);
        }
    }

    #[test]
    fn rows_are_typed_after_their_columns() {
        let fields: Vec<FieldRef> =
            [("id", DataType::Int64), ("Name", DataType::Utf8)].into_iter().map(|(name, kind)| Arc::new(Field::new(name, kind, true))).collect();
        let row = |value: Json| value.as_object().cloned().unwrap();
        let rows = [row(json!({"ID": 1})), row(json!({"name": "it's", "id": "2"}))];
        assert_eq!(
            rows_query(&fields, &rows),
            "select cast(1 as BIGINT) as \"id\", cast(null as VARCHAR) as \"Name\"\nunion all\nselect cast('2' as BIGINT) as \"id\", cast('it''s' as VARCHAR) as \"Name\""
        );
        assert!(rows_query(&fields, &[]).ends_with("where false"));
        assert_eq!(literal(&json!([{"a": [true, null]}])), "make_array(named_struct('a', make_array(true, null)))");
    }
}
