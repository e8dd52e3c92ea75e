//! A statement of the dialect, planned against two tables.
#![allow(clippy::expect_used, reason = "where there are no tables nothing can be tried")]

use std::sync::{Arc, OnceLock};

use alluvium::sql::{
    Semantics, SessionOptions, SqlError, assignments, behind_with, blame, canonical, embedded_query, open_stars, output_columns, parse_command,
    parse_query, parse_type, plan, qualified, respelt_texts, rewritten_expression, session_state, slashes, split_statements, sql_error,
    statement_text,
};
use deltalake::arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use deltalake::datafusion::catalog::{CatalogProvider, MemoryCatalogProvider, MemorySchemaProvider, SchemaProvider};
use deltalake::datafusion::datasource::empty::EmptyTable;
use deltalake::datafusion::error::Result;
use deltalake::datafusion::execution::runtime_env::RuntimeEnv;
use deltalake::datafusion::execution::session_state::SessionState;

use super::shape;

const COLUMNS: [&str; 9] = ["id", "Name", "amount", "price", "at", "day", "flags", "tags", "place"];

/// What becomes of a text wherever the program takes SQL, and of its statements one by one.
pub fn planned(text: &str) -> String {
    for adapter in ["bigquery", "spark", "mysql", "snowflake"] {
        let semantics = Semantics::of_adapter(adapter);
        let respelt = respelt_texts(semantics, text);
        assert_eq!(respelt.len(), text.len(), "another length for {adapter}");
    }
    let mut said = one(text);
    match split_statements(text) {
        Ok(ranges) => {
            let several = ranges.len() > 1;
            for range in ranges.into_iter().take(8) {
                let statement = text.get(range.clone());
                assert!(statement.is_some(), "{range:?} is no place in the text");
                said += &statement.filter(|_| several).map(one).unwrap_or_default();
            }
        }
        Err(error) => said += &told(&error, text),
    }
    said
}

fn one(text: &str) -> String {
    let state = state();
    let mut said = String::new();
    match parse_command(text) {
        Ok(Some(command)) => said += &shape(&format!("{:.20}", format!("{command:?}").split('{').next().unwrap_or_default())),
        Ok(None) => {}
        Err(error) => said += &told(&error, text),
    }
    for range in embedded_query(text).into_iter().chain(behind_with(text).map(|at| at..at)).chain(slashes(text).0.into_iter().map(|at| at..at)) {
        assert!(text.get(range.clone()).is_some(), "{range:?} is no place in the text");
    }
    drop(assignments(text));
    drop(qualified(text, "t", COLUMNS));
    if text.len() < 200 {
        said += &parse_type(text).err().map(|message| shape(&message)).unwrap_or_default();
        said += &rewritten_expression(state, text).err().map(|error| shape(&error.message)).unwrap_or_default();
    }
    let body = statement_text(text);
    if let Err(error) = parse_query(state, text) {
        said += &told(&error, text);
    }
    if let Err(error) = parse_query(state, body) {
        return said + &told(&error, body);
    }
    let spelt = canonical(body, COLUMNS);
    assert_eq!(spelt.len(), body.len(), "respelling moves places");
    let statement = match parse_query(state, &spelt) {
        Ok(statement) => statement,
        Err(error) => return said + &told(&error, &spelt),
    };
    let places = output_columns(&statement, &spelt).into_iter().map(|(_, range)| range);
    for range in places.chain(open_stars(&statement, &spelt).into_iter().filter_map(|(_, range)| range)) {
        assert!(spelt.get(range.clone()).is_some(), "{range:?} is no place in the text");
    }
    let found = futures::executor::block_on(async {
        let analysed = match plan(state, statement.clone()).await {
            Ok(plan) => state.analyzer().execute_and_check(plan, state.config_options(), |_, _| {}),
            Err(error) => Err(error),
        };
        match analysed {
            Ok(plan) => Ok(plan),
            Err(error) => Err(blame(sql_error(&error, &spelt), state, &statement, &spelt).await),
        }
    });
    match found {
        Ok(plan) => said + &plan.display().to_string().split(':').next().map(shape).unwrap_or_default(),
        Err(error) => said + &told(&error, &spelt),
    }
}

fn told(error: &SqlError, text: &str) -> String {
    for range in error.range.iter().chain(error.related.iter().map(|related| &related.0)) {
        assert!(text.get(range.clone()).is_some(), "{range:?} is no place in {} bytes: {error:?}", text.len());
    }
    shape(&format!("{} {}", error.code, error.message))
}

fn state() -> &'static SessionState {
    static STATE: OnceLock<SessionState> = OnceLock::new();
    STATE.get_or_init(|| {
        let options = SessionOptions { threads: 1, runtime: Arc::new(RuntimeEnv::default()), spilling_joins: false, semantics: Semantics::default() };
        let state = session_state(&options);
        with_tables(&state).expect("tables are registered");
        state
    })
}

fn with_tables(state: &SessionState) -> Result<()> {
    let place = DataType::Struct(vec![Field::new("street", DataType::Utf8, true), Field::new("Zip", DataType::Int32, true)].into());
    let types = [
        DataType::Int64,
        DataType::Utf8,
        DataType::Decimal128(12, 2),
        DataType::Float64,
        DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        DataType::Date32,
        DataType::Boolean,
        DataType::List(Arc::new(Field::new_list_field(DataType::Utf8, true))),
        place,
    ];
    let fields: Vec<Field> = COLUMNS.into_iter().zip(types).map(|(name, data_type)| Field::new(name, data_type, name != "id")).collect();
    let schema = Arc::new(MemorySchemaProvider::new());
    for name in ["orders", "lines"] {
        schema.register_table(name.to_owned(), Arc::new(EmptyTable::new(Arc::new(Schema::new(fields.clone())))))?;
    }
    let catalog = MemoryCatalogProvider::new();
    catalog.register_schema("main", schema)?;
    state.catalog_list().register_catalog("alluvium".to_owned(), Arc::new(catalog));
    Ok(())
}
