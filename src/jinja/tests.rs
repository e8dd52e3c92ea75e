//! The room as others see it, with a host that answers from a table.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use chrono::{TimeZone, Utc};
use serde_json::{Map, Value as Json, json};

use super::session::lock;
use super::*;
use crate::base::{Code, Diagnostic, Heard, Sources, Span};
use crate::manifest::RelationName;

struct Host {
    execute: bool,
    refs: Mutex<Vec<(String, Option<Span>)>>,
    configs: Mutex<Map<String, Json>>,
    logs: Mutex<Vec<String>>,
    queries: Mutex<Vec<String>>,
    defers: bool,
}

impl Host {
    fn new(execute: bool) -> Self {
        Self { execute, refs: Mutex::default(), configs: Mutex::default(), logs: Mutex::default(), queries: Mutex::default(), defers: false }
    }
}

impl TemplateHost for Host {
    fn execute(&self) -> bool {
        self.execute
    }

    fn reference(&self, call: &RefCall) -> Result<RelationName, HostError> {
        lock(&self.refs).push((call.name.clone(), call.span));
        if call.name == "missing" {
            return Err(Diagnostic::error(Code::UnresolvedRef, "no model `missing`").into());
        }
        Ok(RelationName::new("db", "main", call.name.as_str()))
    }

    fn source(&self, call: &SourceCall) -> Result<RelationName, HostError> {
        Ok(RelationName::new("db", call.source.as_str(), call.table.as_str()))
    }

    fn config(&self, values: Map<String, Json>, _: Option<Span>) -> Result<(), HostError> {
        lock(&self.configs).extend(values);
        Ok(())
    }

    fn config_get(&self, key: &str) -> Option<Json> {
        lock(&self.configs).get(key).cloned()
    }

    fn var(&self, name: &str) -> Option<Json> {
        (name == "days").then(|| json!([1, 2]))
    }

    fn this(&self) -> Option<RelationName> {
        Some(RelationName::new("db", "main", "me"))
    }

    fn target(&self) -> Json {
        json!({"name": "dev", "schema": "main", "database": "db", "type": "alluvium"})
    }

    fn model(&self) -> Json {
        json!({"name": "me"})
    }

    fn graph(&self) -> Json {
        json!({"nodes": {"model.p.a": {"name": "a"}}})
    }

    fn project_name(&self) -> String {
        "root".to_owned()
    }

    fn invocation(&self) -> Invocation {
        let run_started_at = Utc.with_ymd_and_hms(2024, 2, 3, 4, 5, 6).single().unwrap();
        Invocation { id: "i".to_owned(), run_started_at, flags: json!({"FULL_REFRESH": false}), arguments: json!({}) }
    }

    fn is_incremental(&self) -> bool {
        false
    }

    fn query(&self, sql: &str) -> Result<QueryTable, HostError> {
        if self.defers {
            return Err(HostError::Deferred { reason: "needs `a`".to_owned() });
        }
        lock(&self.queries).push(sql.to_owned());
        let columns = vec![("id".to_owned(), "BIGINT".to_owned()), ("name".to_owned(), "VARCHAR".to_owned())];
        Ok(QueryTable { columns, rows: vec![vec![json!(1), json!("x")], vec![json!(2), Json::Null]] })
    }

    fn relation(&self, name: &RelationName) -> Result<Option<RelationFacts>, HostError> {
        let columns = vec![("id".to_owned(), "BIGINT".to_owned()), ("Name".to_owned(), "VARCHAR".to_owned())];
        Ok((name.identifier != "gone").then_some(RelationFacts { kind: RelationKind::View, columns }))
    }

    fn doc(&self, _: Option<&str>, name: &str) -> Result<String, HostError> {
        Ok(format!("about {name}"))
    }

    fn yaml(&self, text: &str) -> Option<Json> {
        serde_json::from_str(text).ok()
    }

    fn log(&self, message: &str, _: Heard) {
        lock(&self.logs).push(message.to_owned());
    }

    fn dispatch_order(&self) -> BTreeMap<String, Vec<String>> {
        BTreeMap::new()
    }
}

struct World {
    sources: Arc<Sources>,
    library: MacroLibrary,
    host: Arc<Host>,
}

impl World {
    /// A library of files given as package and text.
    fn new(files: &[(&str, &str)]) -> Self {
        let sources = Sources::new();
        let files: Vec<_> = files
            .iter()
            .enumerate()
            .map(|(index, (package, text))| MacroFile { file: sources.add(&format!("{package}/{index}.sql"), *text), package: (*package).to_owned() })
            .collect();
        let (library, diagnostics) = MacroLibrary::load(&sources, &files, "root");
        assert_eq!(diagnostics, []);
        Self { sources, library, host: Arc::new(Host::new(true)) }
    }

    fn parsing(mut self) -> Self {
        self.host = Arc::new(Host::new(false));
        self
    }

    fn host(&self) -> Arc<dyn TemplateHost> {
        Arc::clone(&self.host) as Arc<dyn TemplateHost>
    }

    fn try_render(&self, text: &str) -> Result<Rendered, RenderFailure> {
        let file = self.sources.add("models/m.sql", text);
        let scope = Scope { package: "root".to_owned() };
        render(&Template::file(&self.sources, file), &scope, &self.library, &self.host()).map_err(|failure| *failure)
    }

    #[track_caller]
    fn text(&self, text: &str) -> String {
        match self.try_render(text) {
            Ok(rendered) => rendered.text,
            Err(failure) => panic!("{failure:?}"),
        }
    }

    #[track_caller]
    fn error(&self, text: &str) -> Diagnostic {
        match self.try_render(text) {
            Ok(rendered) => panic!("rendered {:?}", rendered.text),
            Err(RenderFailure::Diagnostics(mut diagnostics)) => diagnostics.remove(0),
            Err(RenderFailure::Deferred { reason }) => panic!("deferred: {reason}"),
        }
    }

    /// Code, message, and the text that the first label covers.
    #[track_caller]
    fn complaint(&self, text: &str) -> (Code, String, String) {
        let diagnostic = self.error(text);
        let place = diagnostic.primary_span().map(|span| self.sources.text(span)).unwrap_or_default();
        (diagnostic.code, diagnostic.message, place)
    }
}

#[track_caller]
fn text(template: &str) -> String {
    World::new(&[]).text(template)
}

#[test]
fn ref_source_and_this_print_quoted_names() {
    assert_eq!(text("select * from {{ ref('a') }} join {{ source('raw', 'b') }}"), r#"select * from "db"."main"."a" join "db"."raw"."b""#);
    assert_eq!(
        text("{{ this }} {{ this.schema }} {{ this.identifier }} {{ this.include(database=false) }}"),
        r#""db"."main"."me" main me "main"."me""#
    );
    assert_eq!(text("{% set r = ref('a') %}{{ r == ref('a') }} {{ r.name ~ '_x' }}"), "True a_x");
}

#[test]
fn ref_calls_know_their_place_even_inside_macros() {
    let world = World::new(&[("root", "{% macro pick(n) %}{{ ref(n) }}{% endmacro %}")]);
    let text = "{% set x = ref('one') %}\n{{ pick('two') }}";
    world.text(text);
    let refs = lock(&world.host.refs).clone();
    let places: Vec<_> = refs.iter().map(|(name, span)| (name.as_str(), world.sources.text(span.unwrap()))).collect();
    assert_eq!(places, [("one", "ref('one')".to_owned()), ("two", "ref(n)".to_owned())]);
}

#[test]
fn config_collects_values_and_prints_nothing() {
    let world = World::new(&[]);
    assert_eq!(world.text("{{ config(materialized='table', tags=['a']) }}x{{ config.get('materialized') }}{{ config.get('no', 1) }}"), "xtable1");
    assert_eq!(Json::Object(lock(&world.host.configs).clone()), json!({"materialized": "table", "tags": ["a"]}));
}

#[test]
fn macros_return_values_at_any_depth_and_before_their_definition() {
    let world = World::new(&[
        ("root", "{% macro outer(x) %}{% for i in [1, 2, 3] %}{% if i == 2 %}{% do return(inner(i) + x) %}{% endif %}{% endfor %}{% endmacro %}"),
        ("root", "{% macro inner(i) %}lost{{ return([i, 10][1]) }}{% endmacro %}"),
    ]);
    assert_eq!(world.text("{{ outer(5) }}"), "15");
    assert_eq!(world.text("{% set v = outer(1) %}{{ v + 1 }}"), "12");
}

#[test]
fn what_a_package_calls_without_its_name_is_the_roots_first() {
    let world = World::new(&[
        ("root", "{% macro who() %}root{% endmacro %}{% macro only_root() %}r{% endmacro %}"),
        (
            "pkg",
            "{% macro who() %}pkg{% endmacro %}{% macro own() %}p{% endmacro %}{% macro ask() %}{{ who() }}{{ only_root() }}{{ own() }}{% endmacro %}",
        ),
    ]);
    assert_eq!(world.text("{{ who() }} {{ pkg.who() }} {{ pkg.ask() }}"), "root pkg rootrp");
    let used: Vec<_> = world.try_render("{{ pkg.ask() }}").unwrap().macros.iter().map(ToString::to_string).collect();
    assert_eq!(used, ["macro.pkg.ask", "macro.pkg.own", "macro.root.only_root", "macro.root.who"]);
}

#[test]
fn dispatch_looks_in_the_root_before_the_package() {
    let pkg = "{% macro f(x) %}{{ return(adapter.dispatch('f', 'pkg')(x)) }}{% endmacro %}{% macro default__f(x) %}pkg{{ x }}{% endmacro %}\
               {% macro g() %}{{ return(adapter.dispatch('g', 'pkg')()) }}{% endmacro %}{% macro default__g() %}g{% endmacro %}";
    let world = World::new(&[("pkg", pkg), ("root", "{% macro default__f(x) %}root{{ x }}{% endmacro %}")]);
    assert_eq!(world.text("{{ pkg.f(1) }} {{ pkg.g() }}"), "root1 g");
    assert_eq!(world.complaint("{{ adapter.dispatch('nope', 'pkg')() }}").0, Code::UndefinedMacro);
    assert_eq!(world.text("{{ dbt.type_string() }} {{ type_int() }}"), "varchar integer");
}

#[test]
fn call_blocks_reach_the_caller_across_files() {
    let world = World::new(&[("root", "{% macro wrap(n) %}<{{ caller(n) }}>{% endmacro %}")]);
    assert_eq!(world.text("{% set y = 'b' %}{% call(v) wrap('a') %}{{ v }}{{ y }}{% endcall %}"), "<ab>");
}

#[test]
fn arguments_are_checked_and_surplus_is_kept_where_wanted() {
    let world = World::new(&[(
        "root",
        "{% macro two(a, b=a) %}{{ a }}-{{ b }}{% endmacro %}{% macro all(a) %}{{ a }}{{ varargs }}{{ kwargs }}{% endmacro %}",
    )]);
    assert_eq!(world.text("{{ two(1) }} {{ two(1, 2) }} {{ two(b=3, a=4) }}"), "1-1 1-2 4-3");
    assert_eq!(world.text("{{ all(1, 2, 3, k='v') }}"), "1(2, 3){'k': 'v'}");
    let (code, message, place) = world.complaint("x {{ two(1, 2, 3) }}");
    assert_eq!(
        (code, message.as_str(), place.as_str()),
        (Code::MacroArguments, "macro `two` takes 2 arguments but was given 3 by position", "two(1, 2, 3)")
    );
    assert_eq!(world.error("{{ two(aa=1) }}").help.as_deref(), Some("did you mean `a`?"));
}

#[test]
fn lists_and_dicts_can_be_changed() {
    assert_eq!(
        text("{% set l = [1] %}{% do l.append(2) %}{% for i in [3] %}{% do l.append(i) %}{% endfor %}{{ l }} {{ l | length }} {{ l | join('+') }}"),
        "[1, 2, 3] 3 1+2+3"
    );
    assert_eq!(
        text("{% set d = {'a': 1} %}{% do d.update({'b': [2]}) %}{% do d.b.append(3) %}{{ d }} {{ d.items() | list }}"),
        "{'a': 1, 'b': [2, 3]} [('a', 1), ('b', [2, 3])]"
    );
    assert_eq!(text("{% set l = [1] + [2] %}{% do l.append(3) %}{{ l[-1] }}{{ l[1:] }}{{ 2 in l }}{{ l == [1, 2, 3] }}"), "3[2, 3]TrueTrue");
    assert_eq!(text("{% set p = 'a,b'.split(',') %}{% do p.append('c') %}{{ p.pop() }}{{ p | tojson }}"), r#"c["a", "b"]"#);
    assert_eq!(
        text("{% set ns = namespace(l=[]) %}{% for x in 'ab' %}{% do ns.l.append(x) %}{% set ns.n = x %}{% endfor %}{{ ns.l }}{{ ns.n }}"),
        "['a', 'b']b"
    );
    assert_eq!(text("{% if 'a' is in ['a'] %}y{% endif %}{% if 'a' not in ['b'] %}n{% endif %}"), "yn");
    assert_eq!(World::new(&[]).complaint("{% set l = [] %}{% do l.append(l) %}").1, "a list or dict can't contain itself");
    assert_eq!(World::new(&[]).complaint("{% do range(3).append(1) %}").0, Code::JinjaUnsupported);
}

#[test]
fn adapters_methods_run_statements() {
    let world = World::new(&[]);
    world.text("{% do adapter.create_schema(this) %}{% do adapter.drop_relation(this) %}{% do adapter.truncate_relation(this) %}");
    let wanted = [r#"create schema if not exists "db"."main""#, r#"drop view if exists "db"."main"."me""#, r#"delete from "db"."main"."me""#];
    assert_eq!(*lock(&world.host.queries), wanted);
    let parsing = World::new(&[]).parsing();
    parsing.text("{% do adapter.create_schema(this) %}{% do adapter.rename_relation(this, this) %}{{ adapter.execute('x')[1].rows | length }}");
    assert!(lock(&parsing.host.queries).is_empty());
}

#[test]
fn operators_mean_what_pythons_do() {
    assert_eq!(
        text("{{ '%s-%02d' % ('a', 7) }} {{ 7 % 3 }} {{ -7 % 3 }} {{ 7.5 % 2 }} {{ 2 * 7 % 4 }} {% set x = 9 %}{{ x % 2 == 1 }}"),
        "a-07 1 2 1.5 2 True"
    );
    let dates = "{% set d = modules.datetime.date(2024, 1, 31) %}{{ d + modules.datetime.timedelta(days=1) }} {{ (d - d).days }} {{ [1 + 2 - 1, 'a' + 'b'] }}";
    assert_eq!(text(dates), "2024-02-01 0 [2, 'ab']");
    assert_eq!(World::new(&[]).complaint("{{ '%d' % 'x' }}").0, Code::JinjaRuntime);
    assert_eq!(World::new(&[]).complaint("{{ run_started_at + 1 }}").0, Code::JinjaRuntime);
}

#[test]
fn a_new_list_each_time() {
    let world = World::new(&[("root", "{% macro f(l=[]) %}{% do l.append(1) %}{{ return(l | length) }}{% endmacro %}")]);
    assert_eq!(world.text("{{ f() }}{{ f() }}"), "11");
}

#[test]
fn literal_text_maps_to_the_very_character() {
    let world = World::new(&[("root", "{% macro cols() %}a, b{% endmacro %}")]);
    let source = "{{ config(x=1) }}\nselect {{ cols() }},\n  {%- for c in ['x', 'y'] %} {{ c }}{% endfor %}\nfrom {{ ref('t') }} where z\n";
    let rendered = world.try_render(source).unwrap();
    assert_eq!(rendered.text, "\nselect a, b, x y\nfrom \"db\".\"main\".\"t\" where z");
    let lookup = |wanted: &str| {
        let at = u32::try_from(rendered.text.find(wanted).unwrap()).unwrap();
        let (span, kind) = rendered.map.lookup(at).unwrap();
        (&source[span.start as usize..span.end as usize], kind)
    };
    assert_eq!(lookup("elect"), ("elect ", SpanKind::Literal));
    assert_eq!(lookup("a, b"), ("{{ cols() }}", SpanKind::MacroCall));
    assert_eq!(lookup("y\n"), ("{{ c }}", SpanKind::Expression));
    assert_eq!(lookup("\"main\""), ("{{ ref('t') }}", SpanKind::Expression));
    assert_eq!(lookup("where"), ("where z", SpanKind::Literal));
    let at = u32::try_from(rendered.text.find("where").unwrap()).unwrap();
    let (span, _) = rendered.map.lookup_range(at, at + 5).unwrap();
    assert_eq!(&source[span.start as usize..span.end as usize], "where");
}

#[test]
fn text_of_call_blocks_maps_to_their_tag() {
    let world = World::new(&[("root", "{% macro wrap() %}({{ caller() }}){% endmacro %}")]);
    let source = "a {% call wrap() %}b {{ 1 }}{% endcall %} c";
    let rendered = world.try_render(source).unwrap();
    let (span, kind) = rendered.map.lookup(3).unwrap();
    assert_eq!((&source[span.start as usize..span.end as usize], kind), ("{% call wrap() %}", SpanKind::MacroCall));
}

#[test]
fn errors_name_the_place_and_the_calls_that_led_there() {
    let world = World::new(&[
        ("root", "{% macro a() %}\n{{ b(1) }}{% endmacro %}"),
        ("root", "{% macro b(x) %}{{ exceptions.raise_compiler_error('no ' ~ x) }}{% endmacro %}"),
    ]);
    let diagnostic = world.error("select\n  {{ a() }}");
    assert_eq!((diagnostic.code, diagnostic.message.as_str()), (Code::RaisedByProject, "no 1"));
    let labels: Vec<_> = diagnostic.labels.iter().map(|label| (world.sources.text(label.span), label.text.as_str(), label.primary)).collect();
    assert_eq!(
        labels,
        [
            ("exceptions.raise_compiler_error('no ' ~ x)".to_owned(), "here", true),
            ("b(1)".to_owned(), "macro `b` called here", false),
            ("a()".to_owned(), "macro `a` called here", false),
        ]
    );
}

#[test]
fn what_is_undefined_is_named_with_a_suggestion() {
    let world = World::new(&[("root", "{% macro cents(c) %}{{ cent_typo(c) }}{% endmacro %}"), ("dbt_utils", "{% macro star() %}*{% endmacro %}")]);
    let diagnostic = world.error("select {{ cent('x') }}");
    assert_eq!(
        (diagnostic.code, diagnostic.message.as_str(), diagnostic.help.as_deref()),
        (Code::UndefinedMacro, "`cent` is undefined", Some("did you mean `cents`?"))
    );
    assert_eq!(world.complaint("{{ cents(1) }}"), (Code::UndefinedMacro, "`cent_typo` is undefined".to_owned(), "cent_typo(c)".to_owned()));
    let diagnostic = world.error("{{ dbt_utils.stars() }}");
    assert_eq!(diagnostic.help.as_deref(), Some("did you mean `dbt_utils.star`?"));
    let diagnostic = world.error("{{ codegen.x() }}");
    assert_eq!((diagnostic.code, diagnostic.notes), (Code::UndefinedMacro, vec!["no package `codegen` is installed".to_owned()]));
    assert_eq!(world.text("a{{ nothing }}b"), "ab");
    assert_eq!(world.complaint("{{ nothing.x }}").1, "`nothing` is undefined");
}

#[test]
fn vars_and_environment() {
    let world = World::new(&[]);
    assert_eq!(world.text("{{ var('days')[1] }}{{ var('none', 3) }}{{ var('none', none) is none }}"), "23True");
    let (code, _, place) = world.complaint("select {{ var('none') }}");
    assert_eq!((code, place.as_str()), (Code::UndefinedVar, "var('none')"));
    assert_eq!(world.text("{{ env_var('ALLUVIUM_NOT_SET', 'd') }}"), "d");
    assert_eq!(world.complaint("{{ env_var('ALLUVIUM_NOT_SET') }}").0, Code::UndefinedEnvVar);
    assert_eq!(world.complaint("{{ env_var('DBT_ENV_SECRET_X', 'd') }}").0, Code::UndefinedEnvVar);
}

#[test]
fn host_errors_get_the_place_of_the_call() {
    let world = World::new(&[]);
    assert_eq!(
        world.complaint("select * from {{ ref('missing') }}"),
        (Code::UnresolvedRef, "no model `missing`".to_owned(), "ref('missing')".to_owned())
    );
    let mut world = World::new(&[]);
    world.host = Arc::new(Host { defers: true, ..Host::new(true) });
    assert!(matches!(world.try_render("{{ run_query('select 1') }}"), Err(RenderFailure::Deferred { reason }) if reason == "needs `a`"));
}

#[test]
fn queries_give_tables() {
    let world = World::new(&[]);
    let template = "{% set r = run_query('select 1') %}{{ r.columns[0].values() }} {{ r.rows[0][1] }} {{ r.rows[1]['ID'] }} {{ r | length }} \
                    {{ r.columns['name'].values() }} {{ r[0].id }} {{ r.columns | map(attribute='name') | join('/') }} {% for row in r %}{{ row[0] }}{% endfor %}";
    assert_eq!(world.text(template), "(1, 2) x 2 2 ('x', None) 1 id/name 12");
    let template = "{% call statement('s', fetch_result=True) %}select {{ 2 }}{% endcall %}{{ load_result('s')['data'][0][0] }}{{ load_result('s').table.columns[1].name }}";
    assert_eq!(world.text(template), "1name");
    assert_eq!(*lock(&world.host.queries), ["select 1", "select 2"]);
}

#[test]
fn the_adapter_answers() {
    assert_eq!(
        text("{{ adapter.get_relation(database='d', schema='s', identifier='x').is_view }} {{ adapter.get_relation('d', 's', 'gone') is none }}"),
        "True True"
    );
    assert_eq!(
        text("{% for c in adapter.get_columns_in_relation(ref('a')) %}{{ c.name }}:{{ c.dtype }}:{{ c.is_string() }} {% endfor %}"),
        "id:BIGINT:False Name:VARCHAR:True "
    );
    assert_eq!(
        text("{{ adapter.quote('a') }} {{ api.Relation.create(schema='s', identifier='t') }} {{ adapter.type() }}"),
        r#""a" "s"."t" alluvium"#
    );
    assert_eq!(World::new(&[]).complaint("{{ adapter.alter_schema(this) }}").1, "`adapter.alter_schema()` is not available in alluvium yet");
    assert_eq!(World::new(&[("root", "{% macro m() %}{{ dbt.datediffs() }}{% endmacro %}")]).complaint("{{ m() }}").0, Code::JinjaUnsupported);
}

#[test]
fn while_parsing_the_undefined_is_let_pass() {
    let world = World::new(&[("root", "{% macro m() %}{{ helper(1).x }}{{ ref('in_macro') }}{% endmacro %}")]).parsing();
    let template = "{{ unknown.thing.deeper() }}{{ codegen.run(1) }}{{ not_there(2) }}{% set t = run_query('x') %}{% for r in t.columns[0].values() %}{{ r }}{% endfor %}{{ m() }}{{ ref('b') }}";
    assert_eq!(world.text(template), r#""db"."main"."in_macro""db"."main"."b""#);
    assert_eq!(lock(&world.host.refs).len(), 2);
}

#[test]
fn generic_tests_are_called_with_evaluated_arguments() {
    let world = World::new(&[]);
    let call = |name: &str, arguments: Json| {
        let id = world.library.test(None, name).unwrap().id.clone();
        let Json::Object(arguments) = arguments else { panic!("arguments are a dict") };
        let span = Span::new(world.sources.add("s.yml", "- not_null"), 2, 10);
        let scope = Scope { package: "root".to_owned() };
        render_call(&MacroCall { id, arguments, span }, &scope, &world.library, &world.host()).unwrap()
    };
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let rendered = call("not_null", json!({"model": "{{ ref('a') }}", "column_name": "id"}));
    assert_eq!(words(&rendered.text), r#"select id from "db"."main"."a" where id is null"#);
    assert_eq!(rendered.map.lookup(5).map(|(span, kind)| (world.sources.text(span), kind)), Some(("not_null".to_owned(), SpanKind::MacroCall)));
    let rendered = call("accepted_values", json!({"model": "t", "column_name": "c", "values": ["a", "o'b"]}));
    assert_eq!(words(&rendered.text), "select c as value_field, count(*) as n_records from t where c not in ( 'a', 'o''b' ) group by c");
    let rendered = call("relationships", json!({"model": "t", "column_name": "c", "to": "ref('p')", "field": "id"}));
    assert!(
        words(&rendered.text).starts_with(
            r#"with child as (select c as from_field from t where c is not null), parent as (select id as to_field from "db"."main"."p")"#
        )
    );
}

#[test]
fn names_of_nodes_follow_the_root_projects_macros() {
    let call = |world: &World, custom: Json| {
        let id = world.library.find("root", "generate_schema_name").unwrap().id.clone();
        let arguments = Map::from_iter([("custom_schema_name".to_owned(), custom), ("node".to_owned(), json!({"name": "n"}))]);
        let span = Span::file_start(world.sources.add("x", ""));
        let call = MacroCall { id, arguments, span };
        render_call(&call, &Scope { package: "root".to_owned() }, &world.library, &world.host()).unwrap().text.trim().to_owned()
    };
    let world = World::new(&[]);
    assert_eq!((call(&world, Json::Null), call(&world, json!(" x "))), ("main".to_owned(), "main_x".to_owned()));
    let world = World::new(&[("root", "{% macro generate_schema_name(custom_schema_name, node) %}own_{{ node.name }}{% endmacro %}")]);
    assert_eq!(call(&world, Json::Null), "own_n");
}

#[test]
fn yaml_strings_stay_text_unless_a_filter_says_otherwise() {
    let world = World::new(&[]);
    let span = Span::file_start(world.sources.add("y", "x"));
    let value = |text: &str| render_text(text, span, &world.library, &world.host());
    assert_eq!(value("{{ 1 }}").unwrap(), json!("1"));
    assert_eq!(value("{{ '4' | as_number }}").unwrap(), json!(4));
    assert_eq!(value("{{ (target.name == 'dev') | as_bool }}").unwrap(), json!(true));
    assert_eq!(value("a {{ target.schema }}").unwrap(), json!("a main"));
    assert_eq!(value("{{ doc('d') }}").unwrap(), json!("about d"));
    assert!(value("{{ ref('a') }}").is_err());
    assert!(value("{{ oops }").is_err());
}

#[test]
fn small_functions_of_dbts() {
    assert_eq!(text("{{ run_started_at.strftime('%Y-%m-%d %H') }} {{ run_started_at.isoformat() }}"), "2024-02-03 04 2024-02-03T04:05:06+00:00");
    assert_eq!(
        text(
            "{{ modules.datetime.datetime.strptime('2020-01-02', '%Y-%m-%d').year }} {{ modules.re.match('a(b)', 'abc').group(1) }} {{ modules.re.sub('(b)', '[\\\\1]', 'abc') }}"
        ),
        "2020 b a[b]c"
    );
    assert_eq!(text("{{ local_md5('a') }}"), "0cc175b9c0f1b6a831c399e269772661");
    assert_eq!(
        text("{{ tojson({'a': [1, none]}) }} {{ fromjson('{\"b\": 2}').b }} {{ set([1, 1, 2]) }} {{ zip([1], ['a']) | list }}"),
        "{\"a\": [1, null]} 2 {1, 2} [(1, 'a')]"
    );
    assert_eq!(
        text("{{ graph.nodes.values() | map(attribute='name') | list }} {{ model.name }} {{ schema }} {{ flags.FULL_REFRESH }} {{ execute }}"),
        "['a'] me main False True"
    );
    assert_eq!(text("{{ '7'.zfill(3) }} {{ 'a_b'.rsplit('_', 1)[0] }} {{ '%s-%s' | format('a', 1) }} {{ 'ab' | truncate(9) }}"), "007 a a-1 ab");
    let world = World::new(&[]);
    assert_eq!(world.text("{{ log('hi', info=True) }}{{ print('p') }}"), "");
    assert_eq!(*lock(&world.host.logs), ["hi", "p"]);
    assert_eq!(World::new(&[]).complaint("{{ run_started_at.strftime('%Q') }}").0, Code::JinjaRuntime);
}

#[test]
fn packages_can_tell_relations_from_text() {
    assert_eq!(
        text("{% set r = ref('a') %}{{ r is mapping and r.get('metadata', {}).get('type', '').endswith('Relation') }} {{ 'a' is mapping }}"),
        "True False"
    );
    let world = World::new(&[]);
    assert_eq!(world.text("{{ get_where_subquery(ref('a')) }}"), r#""db"."main"."a""#);
    lock(&world.host.configs).insert("where".to_owned(), json!("x > 1"));
    assert_eq!(world.text("{{ get_where_subquery(ref('a')) }}"), r#"(select * from "db"."main"."a" where x > 1) dbt_subquery"#);
}

#[test]
fn an_error_inside_our_own_macros_points_at_the_users_call() {
    let (code, _, place) = World::new(&[]).complaint("select {{ dbt.datediff('a', 'b', 'eon') }}");
    assert_eq!((code, place.as_str()), (Code::RaisedByProject, "dbt.datediff('a', 'b', 'eon')"));
}

#[test]
fn the_root_may_override_ref_and_reach_the_builtin() {
    let world = World::new(&[("root", "{% macro ref(name) %}{% do return(builtins.ref(name).include(database=false)) %}{% endmacro %}")]);
    assert_eq!(world.text("{{ ref('a') }}"), r#""main"."a""#);
    assert_eq!(lock(&world.host.refs)[0].1.map(|span| world.sources.text(span)).as_deref(), Some("builtins.ref(name)"));
}

#[test]
fn loops_can_be_left_and_any_expression_done() {
    assert_eq!(text("{% for i in range(5) %}{% if i == 1 %}{% continue %}{% elif i == 3 %}{% break %}{% endif %}{{ i }}{% endfor %}"), "02");
    assert_eq!(text("{% do 1 + 1 %}{% set x %}a{{ 1 }}{% endset %}{{ x }}{% if x: %}y{% endif %}"), "a1y");
}

#[test]
fn runaway_templates_end_in_errors() {
    let world = World::new(&[("root", "{% macro f(x) %}{{ f(x) }}{% endmacro %}")]);
    assert_eq!(world.error("{{ f(1) }}").code, Code::JinjaRuntime);
    assert_eq!(
        world.error("{% set s = 'x' * 1000000 %}{% for j in range(100000) %}{{ s }}{% endfor %}").message,
        "the rendered text is longer than 64 MiB"
    );
    // Text that stands in a template counts, where loops put it into a value.
    let long = format!("{{% set t %}}{{% for i in range(100000) %}}{} {{% endfor %}}{{% endset %}}", "select 1, ".repeat(10000));
    assert_eq!(world.error(&long).message, "the template makes more than 2 GiB of text and lists");
    assert_eq!(world.error("{% for x in [1] %}{% with a = 1 %}{% break %}{% endwith %}{% endfor %}").code, Code::JinjaRuntime);
    assert_eq!(world.error("{{ return(1) }}").message, "`return` outside of a macro");
}

#[test]
fn syntax_errors_have_places_in_models_and_macros() {
    let world = World::new(&[]);
    let (code, _, place) = world.complaint("select 1\n{% if x %}\n{{ a b }}");
    assert_eq!((code, place.as_str()), (Code::JinjaSyntax, "b"));
    assert_eq!(world.complaint("select {{ 'x }}").1, "this string has no end");
    let sources = Sources::new();
    let file = sources.add("m.sql", "{% macro ok() %}{% endmacro %}\n{% macro bad() %}{{ 1 + }}{% endmacro %}{% macro ok() %}{% endmacro %}");
    let (library, diagnostics) = MacroLibrary::load(&sources, &[MacroFile { file, package: "root".to_owned() }], "root");
    assert!(library.find("root", "ok").is_some());
    assert_eq!(diagnostics.iter().map(|diagnostic| diagnostic.code).collect::<Vec<_>>(), [Code::JinjaSyntax, Code::DuplicateName]);
    assert_eq!(sources.position(file, diagnostics[0].primary_span().unwrap().start).line, 2);
}

/// What the source map rests on: the engine hands literals to its writer as slices of the source.
#[test]
fn the_engine_writes_slices_of_the_source() {
    struct Spy<'s>(&'s str, Vec<(usize, usize)>);
    impl std::io::Write for Spy<'_> {
        fn write(&mut self, part: &[u8]) -> std::io::Result<usize> {
            self.1.push((part.as_ptr().addr().wrapping_sub(self.0.as_ptr().addr()), part.len()));
            Ok(part.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let source = String::from("ab {%- if true %}cd{% endif %}");
    let environment = minijinja::Environment::new();
    let template = environment.template_from_str(&source).unwrap();
    let mut spy = Spy(&source, Vec::new());
    template.render_captured_to((), &mut spy).unwrap();
    assert_eq!(spy.1, [(0, 2), (17, 2)]);
}

/// Templates made of pieces in any order: they render or say what is wrong, and nothing breaks.
#[test]
fn any_template_ends_with_a_text_or_a_diagnostic() {
    const PIECES: [&str; 40] = [
        "{{ ",
        " }}",
        "{% ",
        " %}",
        "{%- ",
        " -%}",
        "set x = ",
        "x",
        "for i in ",
        "{% endfor %}",
        "{% if ",
        "{% endif %}",
        "[1, 'a']",
        "{'k': 2}",
        "(",
        ")",
        "[",
        "]",
        " + ",
        " - ",
        " % ",
        "'%s'",
        " | join(',')",
        " | sort",
        ".append(x)",
        ".items()",
        " ~ ",
        "ref('a')",
        "run_query('q')",
        ".rows[0]",
        "modules.datetime.date(2024, 1, 1)",
        "modules.datetime.timedelta(1)",
        "context",
        "{% do ",
        "{% macro m(a) %}",
        "{% endmacro %}",
        "m(",
        ", ",
        "é",
        "{# # ",
    ];
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state % 1000).unwrap_or_default()
    };
    let (running, parsing) = (World::new(&[]), World::new(&[]).parsing());
    for _ in 0..1500 {
        let template: String = (0..next() % 14).map(|_| PIECES[next() % PIECES.len()]).collect();
        for world in [&running, &parsing] {
            if let Err(RenderFailure::Diagnostics(found)) = world.try_render(&template) {
                assert_ne!(found[0].message, "the template engine can't run this template", "{template}");
                assert!(found[0].primary_span().is_some(), "no place: {template}");
            }
        }
    }
}
