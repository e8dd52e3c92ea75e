//! The fingerprint of a node: everything it is, save for where in its files it stands. Fields are taken apart by name, so
//! that a new one can't be forgotten here.

use super::{AboutSource, ColumnDecl, ConstraintDecl, GenericTest, ModelDetails, Node, NodeConfig, NodeKind, TestConfig, TestDetails};
use crate::base::{Fingerprint, Fingerprinter};

impl Node {
    /// See the module's documentation.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        let Self {
            id,
            kind,
            name,
            package,
            path,
            original_path,
            fqn,
            span: _,
            file: _,
            properties_span: _,
            properties_path,
            raw_code,
            language,
            checksum,
            config,
            description,
            // Their texts are in the description.
            doc_blocks: _,
            columns,
            constraints,
            model,
            relation,
            unbuilt,
            refs,
            sources,
            depends_on,
            depends_on_macros,
            layer,
        } = self;
        let mut of = Fingerprinter::new("node");
        of.add(id).add(name).add(package).add(path).add(original_path).add(fqn).add(properties_path).add(language);
        if !matches!(kind, NodeKind::Model | NodeKind::Snapshot | NodeKind::Analysis | NodeKind::Function(_)) {
            of.add(raw_code);
        }
        // Of what has SQL of its own: that of the SQL.
        of.add(checksum).add(description).add(depends_on).add(depends_on_macros).add(layer);
        of.add(&relation.is_some()).add(&unbuilt.is_some());
        if let Some(relation) = relation.as_ref().or(unbuilt.as_deref()) {
            // Names are compared without regard to case and printed with it.
            of.add(&relation.database).add(&relation.schema).add(&relation.identifier);
        }
        for call in refs {
            of.add(&call.package).add(&call.name).add(&call.version);
        }
        of.add(&refs.len());
        for call in sources {
            of.add(&call.source).add(&call.table);
        }
        of.add(&sources.len());
        add_kind(&mut of, kind);
        add_config(&mut of, config);
        add_columns(&mut of, columns.values());
        add_constraints(&mut of, constraints);
        add_details(&mut of, model);
        of.finish()
    }

    /// What a reader of its relation may take from the node itself: its name, and what is declared to hold for its rows.
    #[must_use]
    pub fn fingerprint_for_readers(&self) -> Fingerprint {
        let mut of = Fingerprinter::new("readers");
        of.add(&self.id).add(&self.name).add(&self.config.materialization).add(&self.config.contract_enforced).add(&self.relation.is_some());
        if let Some(relation) = &self.relation {
            of.add(&relation.database).add(&relation.schema).add(&relation.identifier);
        }
        of.add(&self.config.incremental.is_some());
        if let Some(config) = &self.config.incremental {
            of.debug(config);
        }
        if let Some(column) = self.config.raw.get("event_time") {
            of.json(column);
        }
        add_columns(&mut of, self.columns.values());
        add_constraints(&mut of, &self.constraints);
        of.finish()
    }
}

fn add_kind(of: &mut Fingerprinter, kind: &NodeKind) {
    match kind {
        NodeKind::Model => of.add(&0_u8),
        NodeKind::Analysis => of.add(&1_u8),
        NodeKind::Snapshot => of.add(&2_u8),
        NodeKind::Seed { path } => of.add(&3_u8).add(path),
        NodeKind::Source { source_name, about, external } => {
            let AboutSource { loader, description, meta, quoting, written, external: as_written } = about.as_ref();
            of.add(written.as_slice()).debug(as_written);
            of.add(&4_u8).add(source_name).add(loader).add(description).add(quoting.as_slice()).json_map(meta).add(&external.is_some());
            if let Some(external) = external {
                of.debug(&external.config).add(&external.call);
            }
            of
        }
        NodeKind::Test(details) => {
            let TestDetails { generic, attached, column } = details.as_ref();
            of.add(&5_u8).add(attached).add(column).add(&generic.is_some());
            if let Some(GenericTest { package, name, arguments, span: _ }) = generic {
                of.add(package).add(name).json_map(arguments);
            }
            of
        }
        // Few projects have many, and all that these hold takes long to name.
        NodeKind::Described(described) => of.add(&6_u8).debug(described),
        NodeKind::UnitTest(unit) => of.add(&7_u8).debug(unit),
        NodeKind::Function(details) => of.add(&8_u8).debug(details),
    };
}

fn add_columns<'c>(of: &mut Fingerprinter, columns: impl ExactSizeIterator<Item = &'c ColumnDecl>) {
    of.add(&columns.len());
    for column in columns {
        let ColumnDecl { name, data_type, description, constraints, tags, meta, quote, granularity, doc_blocks: _, span: _, type_span: _ } = column;
        of.add(name).add(data_type).add(description).add(tags).add(quote).add(granularity).json_map(meta);
        add_constraints(of, constraints);
    }
}

fn add_constraints(of: &mut Fingerprinter, constraints: &[ConstraintDecl]) {
    of.add(&constraints.len());
    for constraint in constraints {
        let ConstraintDecl { kind, name, expression, columns, to, to_columns, references, warn_unsupported, warn_unenforced, span: _, whole: _ } =
            constraint;
        of.add(kind.name()).add(name).add(expression).add(columns).add(to_columns).add(warn_unsupported).add(warn_unenforced);
        of.add(&to.as_ref().map(|to| &to.value)).add(&references.as_ref().map(ToString::to_string));
    }
}

fn add_details(of: &mut Fingerprinter, model: &ModelDetails) {
    let ModelDetails { version, latest, deprecation_date, time_spine } = model;
    if version.is_some() || latest.is_some() || deprecation_date.is_some() || time_spine.is_some() {
        of.debug(model);
    }
}

fn add_config(of: &mut Fingerprinter, config: &NodeConfig) {
    let NodeConfig {
        enabled,
        materialization,
        alias,
        schema,
        database,
        tags,
        meta,
        group,
        access,
        full_refresh,
        contract_enforced,
        contract_subset,
        partition_by,
        table_properties,
        change_feed,
        persist_docs_relation,
        persist_docs_columns,
        external,
        column_types,
        delimiter,
        incremental,
        snapshot,
        test,
        raw,
        written: _,
        spans: _,
    } = config;
    of.add(enabled).add(materialization).add(alias).add(schema).add(database).add(tags).add(group).add(access).add(full_refresh);
    of.add(contract_enforced).add(contract_subset).add(change_feed).add(persist_docs_relation).add(persist_docs_columns).add(delimiter);
    of.json_map(meta).json_map(raw).debug(partition_by);
    for map in [table_properties, column_types] {
        of.add(&map.len());
        map.iter().for_each(|pair| _ = of.add(&pair));
    }
    of.add(&external.is_some()).add(&incremental.is_some()).add(&snapshot.is_some());
    if let Some(external) = external {
        of.debug(external);
    }
    if let Some(incremental) = incremental {
        of.debug(incremental);
    }
    if let Some(snapshot) = snapshot {
        of.debug(snapshot);
    }
    if *test != TestConfig::default() {
        of.debug(test);
    }
}
