//! What the dialect costs: at start, and at each query. `tests/bench/dialect.sh` runs it.
#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a yardstick")]

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use deltalake::datafusion::execution::runtime_env::RuntimeEnv;
use deltalake::datafusion::execution::session_state::SessionStateBuilder;

use alluvium::sql::{Semantics, SessionOptions, canonical, parse_query, plan, session_state};

/// A query of a size that models have: 20 CTEs, each with calls and clauses that are rewritten.
fn query() -> String {
    let step = |at: usize| {
        format!(
            "c{at} as (select id, iff(mod(id, {}) = 0, 'even', 'odd') as kind, dateadd(day, {at}, day) as day, amount + {at} as amount, amount * 2 as twice, nvl(label, 'none') as label from c{} where label like any ('a%', '%b') or id is not null)",
            at + 2,
            at - 1
        )
    };
    let steps: Vec<String> = (1..20).map(step).collect();
    format!(
        "with c0 as (select 1 as id, timestamp '2024-02-29 00:00:00' as day, 2 as amount, 'a' as label), {} select kind, count_if(amount > 3) as n, max_by(label, day) as last from c19 group by all order by all",
        steps.join(", ")
    )
}

fn least(runs: usize, mut run: impl FnMut()) -> Duration {
    let one = |run: &mut dyn FnMut()| {
        let begin = Instant::now();
        run();
        begin.elapsed()
    };
    (0..runs).map(|_| one(&mut run)).min().unwrap_or_default()
}

fn main() {
    let runtime = Arc::new(RuntimeEnv::default());
    let dialect =
        || session_state(&SessionOptions { threads: 2, runtime: Arc::clone(&runtime), spilling_joins: false, semantics: Semantics::default() });
    let plain = || SessionStateBuilder::new().with_runtime_env(Arc::clone(&runtime)).with_default_features().build();
    black_box(plain());
    let begin = Instant::now();
    black_box(dialect());
    let first = begin.elapsed();
    let (with, without) = (least(50, || drop(black_box(dialect()))), least(50, || drop(black_box(plain()))));
    println!("the first session of the dialect: {first:?}; each further one: {with:?}; DataFusion's own: {without:?}");

    let sql = query();
    let state = dialect();
    let text = canonical(&sql, []);
    let plain = least(50, || drop(black_box(state.sql_to_statement(&text, &state.config_options().sql_parser.dialect).unwrap())));
    let read = least(50, || drop(black_box(parse_query(&state, &text).unwrap())));
    let executor = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let whole = least(50, || {
        executor.block_on(async {
            let statement = parse_query(&state, &text).unwrap();
            let planned = plan(&state, statement).await.unwrap();
            black_box(state.create_physical_plan(&planned).await.unwrap());
        });
    });
    // Grammar, limits and rewrites: all that is done beside what the parser alone does.
    let rewriting = read.saturating_sub(plain);
    let share = rewriting.as_secs_f64() / whole.as_secs_f64() * 100.0;
    println!("rewriting a query of 20 CTEs: {rewriting:?} of {whole:?}, {share:.1} %");
}
