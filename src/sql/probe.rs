//! Runs SQL of the dialect without tables, for tests.

use std::sync::Arc;

use deltalake::arrow::util::display::{ArrayFormatter, FormatOptions};
use deltalake::datafusion::execution::runtime_env::RuntimeEnv;
use deltalake::datafusion::prelude::SessionContext;

use super::{Semantics, SessionOptions, canonical, parse_query, plan, session_state, sql_error};

/// The rows of a query as text, or what it fails with.
pub(crate) fn rows(sql: &str) -> Result<Vec<Vec<String>>, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut state = session_state(&SessionOptions {
            threads: 2,
            runtime: Arc::new(RuntimeEnv::default()),
            spilling_joins: false,
            semantics: Semantics::default(),
        });
        let catalog = Arc::new(deltalake::datafusion::catalog::MemoryCatalogProviderList::new());
        state.register_catalog_list(catalog);
        let statement = parse_query(&state, &canonical(sql, [])).map_err(|error| error.message.clone())?;
        let shown = |error: deltalake::datafusion::common::DataFusionError| sql_error(&error, sql).message;
        let planned = plan(&state, statement).await.map_err(shown)?;
        let context = SessionContext::new_with_state(state);
        let frame = context.execute_logical_plan(planned).await.map_err(shown)?;
        let batches = frame.collect().await.map_err(shown)?;
        let options = FormatOptions::default().with_null("NULL").with_types_info(false);
        let mut rows = Vec::new();
        for batch in batches {
            let columns: Vec<_> = batch.columns().iter().map(|column| ArrayFormatter::try_new(column, &options).unwrap()).collect();
            for row in 0..batch.num_rows() {
                rows.push(columns.iter().map(|column| column.value(row).to_string()).collect());
            }
        }
        Ok(rows)
    })
}

/// The one value of an expression, or what it fails with.
pub(crate) fn value(expression: &str) -> String {
    match rows(&format!("select {expression} as v")) {
        Ok(rows) => rows.into_iter().flatten().collect::<Vec<_>>().join(" | "),
        Err(message) => format!("error: {message}"),
    }
}
