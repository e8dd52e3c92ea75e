//! Metrics, semantic models and saved queries: read, checked, and put into the manifest's shape. Nothing runs them here.

use serde_json::{Map, Value as Json, json};

use super::decl::{MeasureDecl, Origin, SemanticDecl};
use super::properties::{take_config, title};
use super::reader::{MapReader, string_list, text};
use super::yaml::Yaml;
use crate::base::{Code, Diagnostic, Diagnostics, Spanned, nearest};
use crate::manifest::DescribedKind;

const METRICS: [&str; 5] = ["simple", "ratio", "cumulative", "derived", "conversion"];
const ENTITIES: [&str; 4] = ["primary", "foreign", "natural", "unique"];
const DIMENSIONS: [&str; 2] = ["categorical", "time"];
const AGGREGATIONS: [&str; 10] =
    ["sum", "min", "max", "count_distinct", "sum_boolean", "average", "percentile", "median", "count", "approximate_count_distinct"];

pub(super) fn read_metric(entry: &Yaml, origin: &Origin, out: &mut Diagnostics) -> Option<SemanticDecl> {
    let mut reader = MapReader::new(entry, title("metric", entry), out);
    let mut decl = begin(&mut reader, DescribedKind::Metric, entry, origin);
    let label = reader.required("label");
    let kind = reader.required("type").and_then(|kind| one_of(kind, "type of metric", &METRICS, reader.out));
    let params = reader.map("type_params");
    if params.is_none() && kind.is_some() {
        reader.lacks("type_params", "a mapping");
    }
    let filter = reader.take("filter").map_or(Json::Null, |filter| where_filter(filter, reader.out));
    let granularity = text_or_null(&mut reader, "time_granularity");
    decl.config = take_config(&mut reader, &["tags", "meta", "group", "enabled"]);
    let kind = kind.map_or_else(String::new, |kind| kind.value);
    let params = params.map_or(Json::Null, |params| type_params(params, &kind, &mut decl, reader.out));
    reader.finish();
    decl.fields = object(json!({
        "label": label.map(|label| label.value), "type": kind, "type_params": params, "filter": filter, "metadata": null,
        "time_granularity": granularity,
    }));
    decl.named()
}

fn begin(reader: &mut MapReader<'_, '_>, kind: DescribedKind, entry: &Yaml, origin: &Origin) -> SemanticDecl {
    let name = reader.required("name");
    let description = reader.string("description");
    SemanticDecl {
        kind,
        origin: origin.clone(),
        span: entry.span,
        name: name.unwrap_or_else(|| Spanned::new(String::new(), entry.span)),
        description,
        config: None,
        model: None,
        measures: Vec::new(),
        uses_measures: Vec::new(),
        uses_metrics: Vec::new(),
        fields: Map::new(),
    }
}

impl SemanticDecl {
    /// An entry without a name has been reported and is left out.
    fn named(self) -> Option<Self> {
        (!self.name.value.is_empty()).then_some(self)
    }
}

fn type_params(yaml: &Yaml, kind: &str, decl: &mut SemanticDecl, out: &mut Diagnostics) -> Json {
    let mut reader = MapReader::new(yaml, format!("`type_params` of metric `{}`", decl.name.value), out);
    let measure = reader.take("measure").map_or(Json::Null, |measure| measure_input(measure, decl, reader.out));
    let numerator = reader.take("numerator").map_or(Json::Null, |metric| metric_input(metric, decl, reader.out));
    let denominator = reader.take("denominator").map_or(Json::Null, |metric| metric_input(metric, decl, reader.out));
    let metrics: Vec<Json> = reader.items("metrics").iter().map(|metric| metric_input(metric, decl, reader.out)).collect();
    let expr = text_or_null(&mut reader, "expr");
    let window = reader.take("window").map_or(Json::Null, |window| time_window(window, reader.out));
    let grain = text_or_null(&mut reader, "grain_to_date");
    let conversion = reader.map("conversion_type_params").map_or(Json::Null, |yaml| conversion(yaml, decl, reader.out));
    let cumulative = reader.map("cumulative_type_params").map(|yaml| cumulative(yaml, decl, reader.out));
    let cumulative = cumulative.unwrap_or_else(|| match kind {
        "cumulative" => json!({"window": window, "grain_to_date": grain, "period_agg": "first", "metric": null}),
        _ => Json::Null,
    });
    let given = |value: &Json| !value.is_null();
    let needed: &[(&'static str, bool)] = match kind {
        "simple" => &[("measure", given(&measure))],
        "ratio" => &[("numerator", given(&numerator)), ("denominator", given(&denominator))],
        "derived" => &[("expr", given(&expr)), ("metrics", !metrics.is_empty())],
        "conversion" => &[("conversion_type_params", given(&conversion))],
        _ => &[],
    };
    for (key, _) in needed.iter().filter(|(_, given)| !given) {
        reader.lacks(key, if *key == "metrics" { "a list" } else { "a value" });
    }
    reader.finish();
    json!({
        "measure": measure, "input_measures": [], "numerator": numerator, "denominator": denominator, "expr": expr, "window": window,
        "grain_to_date": grain, "metrics": metrics, "conversion_type_params": conversion, "cumulative_type_params": cumulative,
        "metric_aggregation_params": null,
    })
}

/// A measure by name, or a mapping with its name and how it is used.
fn measure_input(yaml: &Yaml, decl: &mut SemanticDecl, out: &mut Diagnostics) -> Json {
    let what = format!("a measure of metric `{}`", decl.name.value);
    let input = |name: &str, filter: Json, alias: Json, spine: bool, fill: Json| json!({"name": name, "filter": filter, "alias": alias, "join_to_timespine": spine, "fill_nulls_with": fill});
    let (name, found) = if yaml.is_map() {
        let mut reader = MapReader::new(yaml, what, out);
        let name = reader.required("name");
        let filter = reader.take("filter").map_or(Json::Null, |filter| where_filter(filter, reader.out));
        let alias = text_or_null(&mut reader, "alias");
        let spine = reader.bool("join_to_timespine").unwrap_or(false);
        let fill = reader.take("fill_nulls_with").map_or(Json::Null, Yaml::to_json);
        reader.finish();
        let Some(name) = name else { return Json::Null };
        let found = input(&name.value, filter, alias, spine, fill);
        (name, found)
    } else {
        let Some(name) = text(yaml, &what, out) else { return Json::Null };
        let found = input(&name.value, Json::Null, Json::Null, false, Json::Null);
        (name, found)
    };
    decl.uses_measures.push((name, found.clone()));
    found
}

/// A metric by name, or a mapping with its name and how it is used.
fn metric_input(yaml: &Yaml, decl: &mut SemanticDecl, out: &mut Diagnostics) -> Json {
    let what = format!("a metric of metric `{}`", decl.name.value);
    if !yaml.is_map() {
        let Some(name) = text(yaml, &what, out) else { return Json::Null };
        let found = json!({"name": name.value, "filter": null, "alias": null, "offset_window": null, "offset_to_grain": null});
        decl.uses_metrics.push(name);
        return found;
    }
    let mut reader = MapReader::new(yaml, what, out);
    let name = reader.required("name");
    let filter = reader.take("filter").map_or(Json::Null, |filter| where_filter(filter, reader.out));
    let alias = text_or_null(&mut reader, "alias");
    let window = reader.take("offset_window").map_or(Json::Null, |window| time_window(window, reader.out));
    let grain = text_or_null(&mut reader, "offset_to_grain");
    reader.finish();
    let Some(name) = name else { return Json::Null };
    let found = json!({"name": name.value, "filter": filter, "alias": alias, "offset_window": window, "offset_to_grain": grain});
    decl.uses_metrics.push(name);
    found
}

fn conversion(yaml: &Yaml, decl: &mut SemanticDecl, out: &mut Diagnostics) -> Json {
    let mut reader = MapReader::new(yaml, format!("`conversion_type_params` of metric `{}`", decl.name.value), out);
    let base = reader.take("base_measure").map_or(Json::Null, |measure| measure_input(measure, decl, reader.out));
    let converted = reader.take("conversion_measure").map_or(Json::Null, |measure| measure_input(measure, decl, reader.out));
    let entity = reader.required("entity").map(|entity| entity.value);
    let calculation = reader.string("calculation").map_or_else(|| "conversion_rate".to_owned(), |text| text.value);
    let window = reader.take("window").map_or(Json::Null, |window| time_window(window, reader.out));
    let constant = reader.take("constant_properties").map_or(Json::Null, Yaml::to_json);
    reader.finish();
    json!({
        "base_measure": base, "conversion_measure": converted, "entity": entity, "calculation": calculation, "window": window,
        "constant_properties": constant, "base_metric": null, "conversion_metric": null,
    })
}

fn cumulative(yaml: &Yaml, decl: &mut SemanticDecl, out: &mut Diagnostics) -> Json {
    let mut reader = MapReader::new(yaml, format!("`cumulative_type_params` of metric `{}`", decl.name.value), out);
    let window = reader.take("window").map_or(Json::Null, |window| time_window(window, reader.out));
    let grain = text_or_null(&mut reader, "grain_to_date");
    let aggregation = reader.string("period_agg").map_or_else(|| "first".to_owned(), |text| text.value);
    let metric = reader.take("metric").map_or(Json::Null, |metric| metric_input(metric, decl, reader.out));
    reader.finish();
    json!({"window": window, "grain_to_date": grain, "period_agg": aggregation, "metric": metric})
}

/// `7 days` as count and granularity.
fn time_window(yaml: &Yaml, out: &mut Diagnostics) -> Json {
    let Some(found) = text(yaml, "a window of time", out) else { return Json::Null };
    let lower = found.value.to_lowercase();
    let mut parts = lower.split_whitespace();
    if let (Some(Ok(count)), Some(unit), None) = (parts.next().map(str::parse::<u64>), parts.next(), parts.next()) {
        return json!({"count": count, "granularity": unit.strip_suffix('s').unwrap_or(unit)});
    }
    out.push(
        Diagnostic::error(Code::YamlType, format!("`{}` is no window of time", found.value))
            .at(found.span, "expected a number and a unit")
            .help("e.g. `7 days` or `1 month`"),
    );
    Json::Null
}

/// One filter or several, which are templates of another tool and stay as written.
fn where_filter(yaml: &Yaml, out: &mut Diagnostics) -> Json {
    if yaml.is_null() {
        return Json::Null;
    }
    let filters: Vec<Json> =
        string_list(yaml, "a filter", out).into_iter().map(|filter| json!({"where_sql_template": filter.value.trim()})).collect();
    json!({ "where_filters": filters })
}

pub(super) fn read_semantic_model(entry: &Yaml, origin: &Origin, out: &mut Diagnostics) -> Option<SemanticDecl> {
    let mut reader = MapReader::new(entry, title("semantic model", entry), out);
    let mut decl = begin(&mut reader, DescribedKind::SemanticModel, entry, origin);
    decl.model = reader.required("model");
    let label = text_or_null(&mut reader, "label");
    let primary_entity = text_or_null(&mut reader, "primary_entity");
    decl.config = take_config(&mut reader, &["tags", "meta", "group", "enabled"]);
    let defaults = reader.map("defaults").map_or(Json::Null, |yaml| {
        let mut nested = MapReader::new(yaml, "`defaults` of a semantic model", reader.out);
        let dimension = text_or_null(&mut nested, "agg_time_dimension");
        nested.finish();
        json!({ "agg_time_dimension": dimension })
    });
    let entities: Vec<Json> = reader.items("entities").iter().filter_map(|item| entity(item, reader.out)).collect();
    let dimensions: Vec<Json> = reader.items("dimensions").iter().filter_map(|item| dimension(item, reader.out)).collect();
    let mut measures = Vec::new();
    for item in reader.items("measures") {
        if let Some((found, json)) = measure(item, reader.out) {
            decl.measures.push(found);
            measures.push(json);
        }
    }
    reader.finish();
    decl.fields = object(json!({
        "model": decl.model.as_ref().map(|model| &model.value), "label": label, "defaults": defaults, "entities": entities, "measures": measures,
        "dimensions": dimensions, "metadata": null, "primary_entity": primary_entity,
    }));
    decl.named()
}

fn entity(item: &Yaml, out: &mut Diagnostics) -> Option<Json> {
    let mut reader = MapReader::new(item, title("entity", item), out);
    let name = reader.required("name");
    let kind = reader.required("type").and_then(|kind| one_of(kind, "type of entity", &ENTITIES, reader.out));
    let part = Part::read(&mut reader);
    let role = text_or_null(&mut reader, "role");
    let expr = text_or_null(&mut reader, "expr");
    reader.finish();
    Some(json!({
        "name": name?.value, "type": kind?.value, "description": part.description, "label": part.label, "role": role, "expr": expr,
        "config": part.config,
    }))
}

fn dimension(item: &Yaml, out: &mut Diagnostics) -> Option<Json> {
    let mut reader = MapReader::new(item, title("dimension", item), out);
    let name = reader.required("name");
    let kind = reader.required("type").and_then(|kind| one_of(kind, "type of dimension", &DIMENSIONS, reader.out));
    let part = Part::read(&mut reader);
    let is_partition = reader.bool("is_partition").unwrap_or(false);
    let expr = text_or_null(&mut reader, "expr");
    let params = reader.map("type_params").map_or(Json::Null, |yaml| {
        let mut nested = MapReader::new(yaml, "`type_params` of a dimension", reader.out);
        let granularity = nested.required("time_granularity").map(|text| text.value);
        let validity = nested.map("validity_params").map_or(Json::Null, |validity| {
            let flag = |key: &str| validity.get(key).and_then(Yaml::as_bool).unwrap_or(false);
            json!({"is_start": flag("is_start"), "is_end": flag("is_end")})
        });
        nested.finish();
        json!({"time_granularity": granularity, "validity_params": validity})
    });
    let kind = kind?;
    if kind.value == "time" && params.is_null() {
        reader.lacks("type_params", "a mapping with `time_granularity`");
    }
    reader.finish();
    Some(json!({
        "name": name?.value, "type": kind.value, "description": part.description, "label": part.label, "is_partition": is_partition,
        "type_params": params, "expr": expr, "metadata": null, "config": part.config,
    }))
}

fn measure(item: &Yaml, out: &mut Diagnostics) -> Option<(MeasureDecl, Json)> {
    let mut reader = MapReader::new(item, title("measure", item), out);
    let name = reader.required("name");
    let agg = reader.required("agg").and_then(|agg| one_of(agg, "aggregation", &AGGREGATIONS, reader.out));
    let part = Part::read(&mut reader);
    // A number counts rows.
    let expr = text_or_null(&mut reader, "expr");
    let create_metric = reader.bool("create_metric").unwrap_or(false);
    let params = reader.map("agg_params").map_or(Json::Null, Yaml::to_json);
    let time = text_or_null(&mut reader, "agg_time_dimension");
    let non_additive = reader.map("non_additive_dimension").map_or(Json::Null, |yaml| {
        let mut nested = MapReader::new(yaml, "`non_additive_dimension` of a measure", reader.out);
        let name = nested.required("name").map(|name| name.value);
        let choice = nested.string("window_choice").map_or_else(|| "min".to_owned(), |text| text.value);
        let groups: Vec<String> = nested.strings("window_groupings").unwrap_or_default().into_iter().map(|text| text.value).collect();
        nested.finish();
        json!({"name": name, "window_choice": choice, "window_groupings": groups})
    });
    reader.finish();
    let name = name?;
    let found = MeasureDecl { name: name.clone(), label: part.label.as_str().map(str::to_owned), expr: expr.clone(), create_metric };
    let json = json!({
        "name": name.value, "agg": agg?.value, "description": part.description, "label": part.label, "create_metric": create_metric, "expr": expr,
        "agg_params": params, "non_additive_dimension": non_additive, "agg_time_dimension": time, "config": part.config,
    });
    Some((found, json))
}

/// What entities, dimensions and measures have in common.
struct Part {
    description: Json,
    label: Json,
    config: Json,
}

impl Part {
    fn read(reader: &mut MapReader<'_, '_>) -> Self {
        let description = text_or_null(reader, "description");
        let label = text_or_null(reader, "label");
        let meta = reader.map("config").and_then(|config| config.get("meta")).map_or_else(|| json!({}), Yaml::to_json);
        Self { description, label, config: json!({ "meta": meta }) }
    }
}

pub(super) fn read_saved_query(entry: &Yaml, origin: &Origin, out: &mut Diagnostics) -> Option<SemanticDecl> {
    let mut reader = MapReader::new(entry, title("saved query", entry), out);
    let mut decl = begin(&mut reader, DescribedKind::SavedQuery, entry, origin);
    let label = text_or_null(&mut reader, "label");
    decl.config = take_config(&mut reader, &["tags", "meta", "group", "enabled", "cache"]);
    let params = reader.map("query_params");
    if params.is_none() {
        reader.lacks("query_params", "a mapping");
    }
    let params = params.map_or(Json::Null, |yaml| query_params(yaml, &mut decl, reader.out));
    let exports: Vec<Json> = reader.items("exports").iter().filter_map(|item| export(item, reader.out)).collect();
    reader.finish();
    decl.fields = object(json!({"query_params": params, "exports": exports, "label": label, "metadata": null}));
    decl.named()
}

fn query_params(yaml: &Yaml, decl: &mut SemanticDecl, out: &mut Diagnostics) -> Json {
    let mut reader = MapReader::new(yaml, format!("`query_params` of saved query `{}`", decl.name.value), out);
    let metrics = reader.strings("metrics").unwrap_or_default();
    let names: Vec<String> = metrics.iter().map(|metric| metric.value.clone()).collect();
    // `Metric('x').order_by(..)` stands for itself and is looked up by what runs it.
    decl.uses_metrics.extend(metrics.into_iter().filter(|metric| !metric.value.contains('(')));
    let mut list = |key: &'static str| reader.strings(key).unwrap_or_default().into_iter().map(|text| text.value).collect::<Vec<_>>();
    let (group_by, order_by) = (list("group_by"), list("order_by"));
    let limit = reader.unsigned("limit").map(|limit| limit.value);
    let filter = reader.take("where").map_or(Json::Null, |filter| where_filter(filter, reader.out));
    reader.finish();
    json!({"metrics": names, "group_by": group_by, "where": filter, "order_by": order_by, "limit": limit})
}

fn export(item: &Yaml, out: &mut Diagnostics) -> Option<Json> {
    let mut reader = MapReader::new(item, title("export", item), out);
    let name = reader.required("name")?;
    let (mut config, mut written) = (json!({"export_as": null, "schema_name": null, "alias": null, "database": null}), Map::new());
    if let Some(yaml) = reader.map("config") {
        let mut nested = MapReader::new(yaml, format!("`config` of export `{}`", name.value), reader.out);
        for (key, shown) in [("export_as", "export_as"), ("schema", "schema_name"), ("alias", "alias"), ("database", "database")] {
            if let Some(text) = nested.string(key) {
                config[shown] = Json::from(text.value.clone());
                written.insert(key.to_owned(), Json::from(text.value));
            }
        }
        nested.finish();
    }
    reader.finish();
    Some(json!({"name": name.value, "config": config, "unrendered_config": written}))
}

fn one_of(found: Spanned<String>, what: &str, known: &[&str], out: &mut Diagnostics) -> Option<Spanned<String>> {
    let lower = found.value.to_lowercase();
    if known.contains(&lower.as_str()) {
        return Some(Spanned::new(lower, found.span));
    }
    let near = nearest(&found.value, known.iter().copied());
    let diagnostic = Diagnostic::error(Code::YamlType, format!("`{}` is no {what}", found.value)).at(found.span, "found here");
    out.push(diagnostic.help_nearest(near, format!("expected one of {}", known.join(", "))));
    None
}

fn text_or_null(reader: &mut MapReader<'_, '_>, key: &'static str) -> Json {
    reader.string(key).map_or(Json::Null, |text| Json::from(text.value))
}

fn object(json: Json) -> Map<String, Json> {
    match json {
        Json::Object(map) => map,
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) | Json::Array(_) => Map::new(),
    }
}
