//! `merge into`: conditions and values are planned over both tables, so that errors stand where they were written;
//! delta-rs joins the rows and rewrites the files they touch, in one commit.

use std::collections::BTreeMap;

use deltalake::arrow::datatypes::SchemaRef;
use deltalake::datafusion::common::Column;
use deltalake::datafusion::common::tree_node::{TreeNode as _, TreeNodeRecursion};
use deltalake::datafusion::logical_expr::{Expr, LogicalPlan};
use deltalake::datafusion::prelude::DataFrame;
use deltalake::operations::merge::MergeBuilder;

use super::super::super::EngineError;
use super::super::{LocalEngine, catalog, failure};
use super::composed::Composed;
use super::rows::{delta_session, refused};
use super::tables::{default_of, position, table_schema, typed};
use super::{at, invalid_at, relation_name};
use crate::base::Code;
use crate::manifest::RelationName;
use crate::sql::{Merge, MergeAction, MergeClause, MergeWhen, Piece, SqlError, Word, quote_ident};

/// A clause with what is planned of it.
struct Planned {
    when: MergeWhen,
    condition: Option<Expr>,
    values: BTreeMap<String, Expr>,
    deletes: bool,
}

struct Merging<'a> {
    engine: &'a LocalEngine,
    merge: &'a Merge,
    statement: &'a str,
    relation: RelationName,
    schema: SchemaRef,
}

/// Runs a merge.
///
/// # Errors
/// If a name, condition or value is wrong, several rows of the source change one row, or the table can't be written.
pub(super) async fn run(engine: &LocalEngine, merge: &Merge, statement: &str) -> Result<(), EngineError> {
    let relation = relation_name(engine, &merge.target.name)?;
    let schema = table_schema(engine, &relation).await.map_err(|error| at(error, &merge.target.range))?;
    let merging = Merging { engine, merge, statement, relation, schema };
    merging.reachable()?;
    let (source, columns, alias) = merging.source().await?;
    let mut on = merging.plan(Some(MergeWhen::Matched), std::iter::once(&merge.on)).await?;
    let mut clauses = Vec::new();
    for clause in &merge.clauses {
        clauses.push(merging.clause(clause, &columns).await?);
    }
    let Some(table) = engine.warehouse.open_table(&merging.relation).await? else {
        return super::existing(engine, &merging.relation).await.map(|_| ());
    };
    let Some(on) = on.pop() else { return Err(super::invalid("a merge needs a condition".into(), "write `on` and a condition behind the source")) };
    let session = delta_session(&engine.session());
    let builder = table.merge(source, on).with_source_alias(alias).with_target_alias(merging.target_alias()).with_session_state(session);
    let wrong = |error| failure::without_place(failure::writing(error, &merging.relation));
    let builder = clauses.into_iter().try_fold(builder, with_clause).map_err(wrong)?;
    let table = match builder.await {
        Ok((table, _)) => table,
        Err(error) if error.to_string().contains("MERGE matched a target row") => return Err(merging.ambiguous()),
        Err(error) => return Err(failure::without_place(refused(engine, &merging.relation, error).await)),
    };
    engine.warehouse.remember(&merging.relation, &table).await;
    Ok(())
}

fn with_clause(builder: MergeBuilder, clause: Planned) -> deltalake::DeltaResult<MergeBuilder> {
    let Planned { when, condition, values, deletes } = clause;
    let columns = values.into_iter().map(|(name, value)| (Column::from_name(name), value));
    macro_rules! filled {
        ($action:ident, $set:ident) => {{
            let action = match condition {
                Some(condition) => $action.predicate(condition),
                None => $action,
            };
            columns.fold(action, |action, (column, value)| action.$set(column, value))
        }};
    }
    match (when, deletes) {
        (MergeWhen::NotMatched, _) => builder.when_not_matched_insert(|action| filled!(action, set)),
        (MergeWhen::Matched, false) => builder.when_matched_update(|action| filled!(action, update)),
        (MergeWhen::NotMatchedBySource, false) => builder.when_not_matched_by_source_update(|action| filled!(action, update)),
        (MergeWhen::Matched, true) => builder.when_matched_delete(|action| match condition {
            Some(condition) => action.predicate(condition),
            None => action,
        }),
        (MergeWhen::NotMatchedBySource, true) => builder.when_not_matched_by_source_delete(|action| match condition {
            Some(condition) => action.predicate(condition),
            None => action,
        }),
    }
}

impl Merging<'_> {
    /// Refuses a clause behind one that takes every row.
    fn reachable(&self) -> Result<(), EngineError> {
        for (place, clause) in self.merge.clauses.iter().enumerate() {
            let before = self.merge.clauses.iter().take(place);
            if before.into_iter().any(|other| other.when == clause.when && other.condition.is_none()) {
                let help = "give the clause before it a condition by `and`, or leave this one out";
                return Err(invalid_at("this clause is never reached: one before it takes every row", &clause.range, help));
            }
        }
        Ok(())
    }

    fn target_alias(&self) -> &str {
        self.merge.alias.as_ref().map_or(&self.relation.identifier, |alias| &alias.value)
    }

    /// `"db"."schema"."t" as "alias"`.
    fn target(&self, text: &mut Composed<'_>) {
        let RelationName { database, schema, identifier } = &self.relation;
        let name = [database, schema, identifier].map(|part| quote_ident(part)).join(".");
        text.push(&format!("{name} as {}", quote_ident(self.target_alias())));
    }

    fn put_source(&self, text: &mut Composed<'_>) {
        text.piece(&self.merge.source).push(" as ").push(&quote_ident(&self.merge.source_alias.value));
    }

    /// The rows of the source, their columns and what they are called.
    async fn source(&self) -> Result<(DataFrame, Vec<String>, String), EngineError> {
        let mut text = Composed::new(self.statement);
        text.push("select * from ");
        self.put_source(&mut text);
        let bound = catalog::bind_session(self.engine, text.text(), &[]).await.map_err(|error| text.locate(error))?;
        let columns = bound.plan.schema().fields().iter().map(|field| field.name().clone()).collect();
        Ok((DataFrame::new(bound.state, bound.plan), columns, self.merge.source_alias.value.clone()))
    }

    async fn clause(&self, clause: &MergeClause, source: &[String]) -> Result<Planned, EngineError> {
        let mut pieces: Vec<&Piece> = clause.condition.iter().collect();
        let mut columns = Vec::new();
        let mut texts = Vec::new();
        match &clause.action {
            MergeAction::Delete => {}
            MergeAction::UpdateAll | MergeAction::InsertAll => {
                let alias = quote_ident(&self.merge.source_alias.value);
                for field in self.schema.fields() {
                    let found = source.iter().find(|name| name.to_lowercase() == field.name().to_lowercase());
                    let Some(found) = found else {
                        let message = format!("the source has no column `{}`, which `*` takes from it", field.name());
                        return Err(invalid_at(&message, &clause.range, "name the columns, or select the column in the source"));
                    };
                    columns.push(field.name().clone());
                    texts.push(format!("{alias}.{}", quote_ident(found)));
                }
            }
            MergeAction::Update(assignments) | MergeAction::Insert(assignments) => {
                columns = self.columns(assignments)?;
                pieces.extend(assignments.iter().map(|(_, value)| value));
                if clause.when == MergeWhen::NotMatched {
                    for field in self.schema.fields().iter().filter(|field| !columns.contains(field.name())).collect::<Vec<_>>() {
                        if let Some(value) = default_of(field) {
                            columns.push(field.name().clone());
                            texts.push(value);
                        }
                    }
                }
            }
        }
        let conditions = usize::from(clause.condition.is_some());
        let mut planned = self.plan_typed(clause.when, (&pieces, conditions), (&columns, &texts)).await?;
        let condition = clause.condition.as_ref().map(|_| planned.remove(0));
        let mut values: BTreeMap<String, Expr> = columns.into_iter().zip(planned).collect();
        if clause.when == MergeWhen::NotMatched {
            for field in self.schema.fields() {
                // A column that is not named and has no default is NULL, and nothing that delta-rs would take.
                values.entry(field.name().clone()).or_insert_with(|| {
                    let null = deltalake::datafusion::scalar::ScalarValue::try_from(field.data_type());
                    Expr::Literal(null.unwrap_or(deltalake::datafusion::scalar::ScalarValue::Null), None)
                });
            }
        }
        Ok(Planned { when: clause.when, condition, values, deletes: clause.action == MergeAction::Delete })
    }

    /// The columns that are set, as the table spells them, each once.
    fn columns(&self, assignments: &[(Word, Piece)]) -> Result<Vec<String>, EngineError> {
        let mut columns: Vec<String> = Vec::new();
        for (column, _) in assignments {
            let place = position(&self.schema, &column.value, &self.relation).map_err(|error| at(error, &column.range))?;
            let name = self.schema.field(place).name().clone();
            if columns.contains(&name) {
                return Err(invalid_at(&format!("the column `{name}` is set twice"), &column.range, "set it once"));
            }
            columns.push(name);
        }
        Ok(columns)
    }

    async fn plan(&self, when: Option<MergeWhen>, pieces: impl Iterator<Item = &Piece>) -> Result<Vec<Expr>, EngineError> {
        let pieces: Vec<&Piece> = pieces.collect();
        let count = pieces.len();
        self.plan_typed(when.unwrap_or(MergeWhen::Matched), (&pieces, count), (&[], &[])).await
    }

    /// Plans conditions as they stand, and values cast to their columns, over the tables that a clause sees.
    async fn plan_typed(
        &self,
        when: MergeWhen,
        (pieces, conditions): (&[&Piece], usize),
        (columns, texts): (&[String], &[String]),
    ) -> Result<Vec<Expr>, EngineError> {
        if pieces.is_empty() && texts.is_empty() {
            return Ok(Vec::new());
        }
        let mut text = Composed::new(self.statement);
        text.push("select ");
        let field = |place: usize| columns.get(place).and_then(|name| self.schema.field_with_name(name).ok());
        for (place, piece) in pieces.iter().enumerate() {
            text.push(if place == 0 { "" } else { ", " });
            match place.checked_sub(conditions).and_then(field) {
                None => drop(text.push("(").piece(piece).push(&format!(") as __part_{place}"))),
                Some(field) => {
                    let around = typed("\u{0}", field);
                    let (head, tail) = around.split_once('\u{0}').unwrap_or(("", ""));
                    text.push(head).push("(").piece(piece).push(")").push(tail).push(&format!(" as __part_{place}"));
                }
            }
        }
        for (place, value) in texts.iter().enumerate() {
            let value = field(pieces.len() - conditions + place).map_or_else(|| value.clone(), |field| typed(value, field));
            let comma = if pieces.is_empty() && place == 0 { "" } else { ", " };
            text.push(&format!("{comma}{value} as __text_{place}"));
        }
        text.push(" from ");
        match when {
            MergeWhen::Matched => {
                self.target(&mut text);
                text.push(" cross join ");
                self.put_source(&mut text);
            }
            MergeWhen::NotMatched => self.put_source(&mut text),
            MergeWhen::NotMatchedBySource => self.target(&mut text),
        }
        let bound = catalog::bind_session(self.engine, text.text(), &[]).await.map_err(|error| text.locate(error))?;
        self.parts(bound.plan)
    }

    /// The expressions of a select list that needs no more than the row.
    fn parts(&self, plan: LogicalPlan) -> Result<Vec<Expr>, EngineError> {
        let refused = |what: &str| {
            let help = "compute it in the query behind `using`";
            invalid_at(&format!("{what} can't stand in the conditions and values of a merge"), &self.merge.on, help)
        };
        let LogicalPlan::Projection(projection) = plan else { return Err(refused("what is not computed from one row")) };
        if matches!(*projection.input, LogicalPlan::Aggregate(_) | LogicalPlan::Window(_)) {
            return Err(refused("aggregates and window functions"));
        }
        let mut parts = Vec::new();
        for expr in projection.expr {
            let mut queries = false;
            let _ = expr.apply(|inner| {
                queries |= matches!(inner, Expr::ScalarSubquery(_) | Expr::Exists(_) | Expr::InSubquery(_));
                Ok(if queries { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
            });
            if queries {
                return Err(refused("subqueries"));
            }
            parts.push(expr.unalias());
        }
        Ok(parts)
    }

    fn ambiguous(&self) -> EngineError {
        let message = format!("several rows of the source match one row of `{}`", self.relation.short());
        let error = SqlError::new(Code::DuplicateKey, message).range(self.merge.source.clone());
        EngineError::Sql(Box::new(error.help("make the source's rows unique by what stands behind `on`")))
    }
}
