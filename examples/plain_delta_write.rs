//! The yardstick of `tests/bench/write_10m.py` and `change_10m.py`: Parquet into a Delta table with deltalake and DataFusion alone, nothing
//! of Alluvium in between.
//!
//! `plain_delta_write generate FILE ROWS [CONDITION]` writes the input; what is timed is `plain_delta_write write FILE FOLDER`
//! and `plain_delta_write merge FILE FOLDER`, which updates and inserts by `id`.

#![allow(clippy::print_stdout, reason = "a script")]

use std::sync::Arc;

use deltalake::DeltaTable;
use deltalake::datafusion::dataframe::DataFrameWriteOptions;
use deltalake::datafusion::execution::session_state::SessionStateBuilder;
use deltalake::datafusion::prelude::{ParquetReadOptions, SessionContext, col};
use deltalake::delta_datafusion::planner::DeltaPlanner;
use deltalake::protocol::SaveMode;

type Outcome = Result<(), Box<dyn std::error::Error>>;

#[tokio::main]
async fn main() -> Outcome {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["generate", file, rows] => generate(file, rows.parse()?, "true").await,
        ["generate", file, rows, condition] => generate(file, rows.parse()?, condition).await,
        ["merge", file, folder] => merge(file, folder).await,
        ["write", file, folder] => write(file, folder).await,
        _ => Err("generate FILE ROWS [CONDITION], write FILE FOLDER, or merge FILE FOLDER".into()),
    }
}

/// Ten columns as accounts and orders have them, ordered by id, about 45 bytes a row on disk.
async fn generate(file: &str, rows: u64, condition: &str) -> Outcome {
    let sql = format!(
        "select id, id * 7919 % 1000000 as customer_id, cast(id % 997 as int) as branch_id,
                cast(id * 104729 % 100000000 / 100.0 as decimal(18, 2)) as amount, sqrt(id) * (id % 13) as rate,
                id % 3 = 0 as is_open, cast(cast(18262 + id % 2000 as int) as date) as opened_date,
                to_timestamp_micros((1704067200 + id % 31536000) * 1000000) as updated_at,
                md5(cast(id as varchar)) as reference, 'type ' || (id % 12) as account_type
         from (select cast(value as bigint) as id from generate_series(1, {rows})) where {condition}"
    );
    SessionContext::new().sql(&sql).await?.write_parquet(file, DataFrameWriteOptions::new().with_single_file_output(true), None).await?;
    Ok(())
}

async fn write(file: &str, folder: &str) -> Outcome {
    let session = SessionContext::new();
    let plan = session.read_parquet(file, ParquetReadOptions::default()).await?.into_unoptimized_plan();
    std::fs::create_dir_all(folder)?;
    let table = DeltaTable::try_from_url(deltalake::ensure_table_uri(folder)?).await?;
    // delta-rs plans its own nodes only with its own planner.
    let state = SessionStateBuilder::new_from_existing(session.state()).with_query_planner(DeltaPlanner::new()).build();
    let table = table.write(vec![]).with_input_plan(plan).with_session_state(Arc::new(state)).with_save_mode(SaveMode::Overwrite).await?;
    println!("version {:?}", table.version());
    Ok(())
}

async fn merge(file: &str, folder: &str) -> Outcome {
    let context = SessionContext::new();
    let source = context.read_parquet(file, ParquetReadOptions::default()).await?;
    let columns: Vec<String> = source.schema().fields().iter().map(|field| field.name().clone()).collect();
    let url = url::Url::from_directory_path(std::path::absolute(folder)?).map_err(|()| "no path")?;
    let table = deltalake::open_table(url).await?;
    let value = |name: &String| col(format!("s.{name}"));
    let merge = table
        .merge(source, col("t.id").eq(col("s.id")))
        .with_source_alias("s")
        .with_target_alias("t")
        .when_matched_update(|update| columns.iter().fold(update, |update, name| update.update(name.clone(), value(name))))?
        .when_not_matched_insert(|insert| columns.iter().fold(insert, |insert, name| insert.set(name.clone(), value(name))))?;
    merge.await?;
    Ok(())
}
