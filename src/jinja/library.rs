//! The macros of a project and its packages: found, rewritten, parsed once, and looked up by dbt's rules.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::ops::Range;
use std::sync::Arc;

use minijinja::{Environment, Value};

use super::blocks::{Block, BlockKind, find_blocks, syntax_error};
use super::builtin;
use super::error::{line_range, parse_diagnostic, refused_range};
use super::macros::{MacroObject, adapters_of};
use super::names;
use super::operators::with_left_operand;
use super::rewrite::{OffsetTable, Signature, rewrite_macro};
use super::values::environment;
use crate::base::{Code, Diagnostic, FileId, Sources, Span};

/// The package of the macros that come with the program, as in dbt.
pub(super) const BUILTIN_PACKAGE: &str = "dbt";

/// A file that may hold macros, generic tests or materializations.
#[derive(Debug, Clone)]
pub struct MacroFile {
    pub file: FileId,
    pub package: String,
}

/// `macro.package.name`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MacroId(String);

impl MacroId {
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The package that has it: an id is `macro.package.name`.
    #[must_use]
    pub fn package(&self) -> Option<&str> {
        self.0.split('.').nth(1)
    }
}

impl std::fmt::Display for MacroId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// What kind of block a macro was written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MacroKind {
    Macro,
    /// A generic test; its macro is called `test_name`.
    Test,
    /// A materialization; its macro is called `materialization_name_adapter`.
    Materialization,
}

/// One macro.
#[derive(Debug, Clone)]
pub struct MacroInfo {
    pub id: MacroId,
    pub package: String,
    /// The name it is called by.
    pub name: String,
    pub file: FileId,
    /// The name in its tag.
    pub span: Span,
    pub arguments: Vec<String>,
    /// Those without a default.
    pub required: Vec<String>,
    pub kind: MacroKind,
    /// The languages that a materialization takes.
    pub languages: Vec<String>,
    /// The block as written, its tags included.
    pub macro_sql: String,
}

impl MacroInfo {
    /// Whether this is a generic test: written as one, or as a macro of such a name, which is dbt's older way.
    fn is_test(&self) -> bool {
        match self.kind {
            MacroKind::Test => true,
            MacroKind::Macro => self.name.starts_with("test_"),
            MacroKind::Materialization => false,
        }
    }
}

/// A macro with what rendering needs.
#[derive(Debug)]
pub(super) struct Unit {
    pub info: MacroInfo,
    pub signature: Signature,
    /// Its template in the environments.
    pub template: String,
    pub table: OffsetTable,
    pub builtin: bool,
}

/// All macros of an invocation. Cheap to clone.
#[derive(Debug, Clone)]
pub struct MacroLibrary {
    pub(super) shared: Arc<Shared>,
}

#[derive(Debug)]
pub(super) struct Shared {
    pub sources: Arc<Sources>,
    pub root: String,
    pub units: Vec<Unit>,
    packages: BTreeMap<String, HashMap<String, u32>>,
    pub values: Vec<Value>,
    /// Names that some macro calls; while parsing, unknown ones among them are let pass.
    pub called: HashSet<String>,
    pub executing: Environment<'static>,
    pub parsing: Environment<'static>,
}

impl MacroLibrary {
    /// Reads the macros of the given files and those that come with the program.
    ///
    /// A block that can't be read is left out and reported; so is the second of two macros of one name in a
    /// package. Packages without macros need a file too if templates may name them.
    #[must_use]
    pub fn load(sources: &Arc<Sources>, files: &[MacroFile], root_package: &str) -> (Self, Vec<Diagnostic>) {
        let mut loader = Loader::new(sources, root_package);
        for (path, text) in builtin::FILES {
            let file = sources.add(path, *text);
            loader.file(&MacroFile { file, package: BUILTIN_PACKAGE.to_owned() }, true);
        }
        for file in files {
            loader.file(file, false);
        }
        loader.finish()
    }

    /// All macros, ordered by package and then as read.
    pub fn macros(&self) -> impl Iterator<Item = &MacroInfo> {
        let mut units: Vec<_> = self.shared.units.iter().map(|unit| &unit.info).collect();
        units.sort_by(|a, b| a.package.cmp(&b.package));
        units.into_iter()
    }

    /// A macro as code of `package` sees it: its own, the root project's, then the program's.
    #[must_use]
    pub fn find(&self, package: &str, name: &str) -> Option<&MacroInfo> {
        self.shared.resolve(package, name).and_then(|id| self.shared.unit(id)).map(|unit| &unit.info)
    }

    /// Whether templates of `package` can ask for `name`, which may be `package.macro`.
    #[must_use]
    pub fn knows(&self, package: &str, name: &str) -> bool {
        match name.split_once('.') {
            Some((owner, name)) => self.shared.in_package(owner, name).is_some(),
            None => self.shared.resolve(package, name).is_some() || names::KNOWN.contains(&name),
        }
    }

    /// A macro to run by itself, as `name` or `package.name`. Without a package: of the root project, then of any other,
    /// then of the program.
    #[must_use]
    pub fn operation(&self, name: &str) -> Option<&MacroInfo> {
        let shared = &self.shared;
        let others = || shared.packages.keys().filter(|package| *package != BUILTIN_PACKAGE);
        let anywhere = || {
            let of_root = shared.in_package(&shared.root, name).or_else(|| others().find_map(|package| shared.in_package(package, name)));
            of_root.or_else(|| shared.in_package(BUILTIN_PACKAGE, name))
        };
        let id = name.split_once('.').map_or_else(anywhere, |(package, name)| shared.in_package(package, name));
        id.and_then(|id| shared.unit(id)).map(|unit| &unit.info)
    }

    /// The macro that a project or its packages have for a materialization: of the root project before others, for the
    /// target's `adapter` before all adapters. One that the program has itself (`built_in`) is not to be overridden by a
    /// text for another engine, and by packages only where `by_packages` says so.
    #[must_use]
    pub fn materialization(&self, name: &str, built_in: bool, by_packages: bool, adapter: &str) -> Option<&MacroInfo> {
        let shared = &self.shared;
        let others = shared.packages.keys().filter(|package| (by_packages || !built_in) && **package != shared.root);
        let mut packages = std::iter::once(&shared.root).chain(others);
        let adapters = if built_in { vec!["alluvium", "default"] } else { adapters_of(adapter) };
        let id = packages.find_map(|package| {
            let of = |adapter: &str| shared.in_package(package, &format!("materialization_{name}_{adapter}"));
            adapters.iter().find_map(|adapter| of(adapter))
        });
        id.and_then(|id| shared.unit(id)).map(|unit| &unit.info)
    }

    /// The first of these macros that the root project has under its own name, or as what `adapter.dispatch` leads to.
    #[must_use]
    pub fn overridden(&self, names: &[&str]) -> Option<&MacroInfo> {
        let of_root = |name: &&str| {
            ["", "alluvium__", "default__"].iter().find_map(|prefix| self.shared.in_package(&self.shared.root, &format!("{prefix}{name}")))
        };
        names.iter().find_map(of_root).and_then(|id| self.shared.unit(id)).map(|unit| &unit.info)
    }

    /// A generic test. Without a package: of the root project, then of the program, then of any package.
    #[must_use]
    pub fn test(&self, package: Option<&str>, name: &str) -> Option<&MacroInfo> {
        let name = format!("test_{name}");
        let id = match package {
            Some(package) => self.shared.in_package(package, &name),
            None => self
                .shared
                .resolve(&self.shared.root, &name)
                .or_else(|| self.shared.packages.keys().find_map(|package| self.shared.in_package(package, &name))),
        };
        id.and_then(|id| self.shared.unit(id)).map(|unit| &unit.info).filter(|info| info.is_test())
    }

    /// The names of generic tests, as they stand in properties files, for suggestions.
    #[must_use]
    pub fn test_names(&self) -> BTreeSet<String> {
        let tests = self.macros().filter(|info| info.is_test());
        tests
            .map(|info| {
                let name = info.name.strip_prefix("test_").unwrap_or(&info.name);
                if info.package == self.shared.root || info.package == BUILTIN_PACKAGE { name.to_owned() } else { format!("{}.{name}", info.package) }
            })
            .collect()
    }
}

impl Shared {
    pub(super) fn unit(&self, id: u32) -> Option<&Unit> {
        self.units.get(id as usize)
    }

    pub(super) fn value(&self, id: u32) -> Option<Value> {
        self.values.get(id as usize).cloned()
    }

    pub(super) fn in_package(&self, package: &str, name: &str) -> Option<u32> {
        self.packages.get(package)?.get(name).copied()
    }

    pub(super) fn has_package(&self, package: &str) -> bool {
        self.packages.contains_key(package)
    }

    /// dbt's order where nothing runs: the caller's package, the root project, the program. What the program calls, the root
    /// project may have put something else in the place of.
    pub(super) fn resolve(&self, package: &str, name: &str) -> Option<u32> {
        let own = if package == BUILTIN_PACKAGE { None } else { self.in_package(package, name) };
        own.or_else(|| self.in_package(&self.root, name)).or_else(|| self.in_package(BUILTIN_PACKAGE, name))
    }

    /// dbt's order while a template runs: the template's package, the root project, the program. A package's macros call each
    /// other by its name there; those of theirs that go without come last here.
    pub(super) fn resolve_within(&self, home: &str, package: &str, name: &str) -> Option<u32> {
        self.resolve(home, name).or_else(|| self.in_package(package, name))
    }

    pub(super) fn by_id(&self, id: &MacroId) -> Option<u32> {
        let index = self.units.iter().position(|unit| unit.info.id == *id)?;
        u32::try_from(index).ok()
    }

    /// Names that code of a package may call, or the names within a package where `name` is `package.name`.
    pub(super) fn names_like(&self, package: &str, name: &str) -> Vec<String> {
        let of = |package: &str| self.packages.get(package).into_iter().flat_map(HashMap::keys);
        let mut names: Vec<String> = match name.split_once('.') {
            Some((owner, _)) if self.has_package(owner) => of(owner).map(|name| format!("{owner}.{name}")).collect(),
            _ => of(package).chain(of(&self.root)).chain(of(BUILTIN_PACKAGE)).cloned().collect(),
        };
        names.sort();
        names.dedup();
        names
    }

    /// The place of a range, or else a line, of a macro's rewritten text.
    pub(super) fn locate(&self, unit: &Unit, range: Option<Range<usize>>, line: Option<usize>) -> Span {
        let template = self.executing.get_template(&unit.template).ok();
        let range = match (range, &template) {
            (Some(range), Some(template)) => Some(with_left_operand(template.source(), range)),
            (None, Some(template)) => line.map(|line| line_range(template.source(), line)),
            (range, None) => range,
        };
        match range {
            Some(range) => {
                let range = unit.table.original_range(range);
                Span::new(unit.info.file, range.start, range.end)
            }
            None => unit.info.span,
        }
    }
}

struct Loader {
    shared: Shared,
    /// The rewritten macros by the names of their templates. Compiling one is most of what it costs, and few are called.
    texts: HashMap<String, String>,
    diagnostics: Vec<Diagnostic>,
}

impl Loader {
    fn new(sources: &Arc<Sources>, root_package: &str) -> Self {
        let shared = Shared {
            sources: Arc::clone(sources),
            root: root_package.to_owned(),
            units: Vec::new(),
            packages: BTreeMap::from([(root_package.to_owned(), HashMap::new())]),
            values: Vec::new(),
            called: HashSet::new(),
            executing: environment(true),
            parsing: environment(false),
        };
        Self { shared, texts: HashMap::new(), diagnostics: Vec::new() }
    }

    /// The library, whose macros are compiled when they are first called.
    fn finish(mut self) -> (MacroLibrary, Vec<Diagnostic>) {
        let texts = Arc::new(self.texts);
        for environment in [&mut self.shared.executing, &mut self.shared.parsing] {
            let texts = Arc::clone(&texts);
            environment.set_loader(move |name| Ok(texts.get(name).cloned()));
        }
        (MacroLibrary { shared: Arc::new(self.shared) }, self.diagnostics)
    }

    fn file(&mut self, file: &MacroFile, builtin: bool) {
        let source = self.shared.sources.file(file.file);
        self.shared.packages.entry(file.package.clone()).or_default();
        match find_blocks(&source.text) {
            Ok(blocks) => {
                for block in blocks {
                    self.block(file, &source.text, &block, builtin);
                }
            }
            Err(error) => self.diagnostics.push(*syntax_error(file.file, &error)),
        }
    }

    fn block(&mut self, file: &MacroFile, text: &str, block: &Block, builtin: bool) {
        let (kind, name) = match block.kind {
            BlockKind::Macro => (MacroKind::Macro, block.name.clone()),
            BlockKind::Test => (MacroKind::Test, format!("test_{}", block.name)),
            BlockKind::Materialization => (MacroKind::Materialization, format!("materialization_{}_{}", block.name, block.adapter)),
            BlockKind::Snapshot | BlockKind::Docs => return,
        };
        let span = Span::new(file.file, block.name_at.start, block.name_at.end);
        if let Some(first) = self.shared.in_package(&file.package, &name).and_then(|id| self.shared.unit(id)) {
            let message = format!("macro `{name}` is defined twice in package `{}`", file.package);
            let diagnostic = Diagnostic::error(Code::DuplicateName, message).at(span, "again here");
            self.diagnostics.push(diagnostic.also(first.info.span, "first here"));
            return;
        }
        let id = u32::try_from(self.shared.units.len()).unwrap_or(u32::MAX);
        let (rewritten, signature) = match rewrite_macro(text, block.outer.clone(), id) {
            Ok(rewritten) => rewritten,
            Err(error) => return self.diagnostics.push(*syntax_error(file.file, &error)),
        };
        let unit = Unit {
            info: MacroInfo {
                id: MacroId(format!("macro.{}.{name}", file.package)),
                package: file.package.clone(),
                name: name.clone(),
                file: file.file,
                span,
                arguments: signature.parameters.clone(),
                required: signature.required.clone(),
                kind,
                languages: block.languages.clone(),
                macro_sql: text.get(block.outer.clone()).unwrap_or_default().to_owned(),
            },
            signature,
            template: format!("m{id}"),
            table: rewritten.table,
            builtin,
        };
        // What is wrong with a macro of the project is told even if nobody calls it.
        if !builtin && let Err(error) = self.shared.parsing.add_template_owned(unit.template.clone(), rewritten.text.clone()) {
            let range = unit.table.original_range(refused_range(&error, &rewritten.text));
            let span = Span::new(file.file, range.start, range.end);
            return self.diagnostics.push(parse_diagnostic(&error, Some(span)));
        }
        self.texts.insert(unit.template.clone(), rewritten.text);
        self.shared.called.extend(rewritten.called);
        self.shared.packages.entry(file.package.clone()).or_default().insert(name, id);
        self.shared.values.push(Value::from_object(MacroObject::new(id)));
        self.shared.units.push(unit);
    }
}
