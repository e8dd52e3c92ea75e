//! The closed list of diagnostic codes; each has a page under `docs/codes/` that `alluvium explain` prints, and a kind of failure.

macro_rules! codes {
    ($($variant:ident = $name:literal, $failure:ident;)*) => {
        /// What a diagnostic is about. Names are stable: people search for them and silence warnings by them.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Code { $($variant,)* }

        impl Code {
            /// Every code, in alphabetical order of the variants as listed.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The kebab-case name that stands in messages.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// What dbt calls a failure of this kind.
            #[must_use]
            pub fn failure(self) -> Failure {
                match self { $(Self::$variant => Failure::$failure,)* }
            }

            /// The page that explains the code, in Markdown.
            #[must_use]
            pub fn page(self) -> &'static str {
                match self {
                    $(Self::$variant => include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/codes/", $name, ".md")),)*
                }
            }
        }
    };
}

/// The kinds of failure that dbt tells apart, by whose message it is: that of the project, of the database, of the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    Compilation,
    Database,
    Runtime,
}

impl Failure {
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Compilation => "Compilation Error",
            Self::Database => "Database Error",
            Self::Runtime => "Runtime Error",
        }
    }
}

codes! {
    AccessDenied = "access-denied", Compilation;
    AmbiguousRef = "ambiguous-ref", Compilation;
    BatchUnfiltered = "batch-unfiltered", Compilation;
    BreakingChange = "breaking-change", Compilation;
    ConfigType = "config-type", Compilation;
    ContractChanged = "contract-changed", Compilation;
    ConstraintIgnored = "constraint-ignored", Compilation;
    ConstraintInvalid = "constraint-invalid", Compilation;
    ConstraintViolated = "constraint-violated", Database;
    ContractMismatch = "contract-mismatch", Compilation;
    ContractNull = "contract-null", Compilation;
    Cycle = "cycle", Runtime;
    DeprecatedModel = "deprecated-model", Compilation;
    DuplicateKey = "duplicate-key", Database;
    DuplicateName = "duplicate-name", Compilation;
    DuplicateRelation = "duplicate-relation", Compilation;
    FanOut = "fan-out", Compilation;
    ForeignAdapter = "foreign-adapter", Compilation;
    InputFile = "input-file", Database;
    InputMissing = "input-missing", Database;
    InternalError = "internal-error", Runtime;
    IntegerDivision = "integer-division", Compilation;
    InvalidSelector = "invalid-selector", Runtime;
    JinjaRuntime = "jinja-runtime", Compilation;
    JinjaSyntax = "jinja-syntax", Compilation;
    JinjaUnsupported = "jinja-unsupported", Compilation;
    LayerMaterialization = "layer-materialization", Compilation;
    LayerRead = "layer-read", Compilation;
    LayerRequirement = "layer-requirement", Compilation;
    MacroArguments = "macro-arguments", Compilation;
    MemoryLimit = "memory-limit", Database;
    NamingColumn = "naming-column", Compilation;
    NamingModel = "naming-model", Compilation;
    NotAvailable = "not-available", Compilation;
    NotProved = "not-proved", Compilation;
    OrphanProperties = "orphan-properties", Compilation;
    OuterJoinGroup = "outer-join-group", Compilation;
    PackageUnavailable = "package-unavailable", Runtime;
    PackageVersion = "package-version", Runtime;
    PackagesMissing = "packages-missing", Compilation;
    ProfileInvalid = "profile-invalid", Runtime;
    ProjectNotFound = "project-not-found", Runtime;
    RaisedByProject = "raised-by-project", Compilation;
    SchemaChanged = "schema-changed", Compilation;
    SelectStar = "select-star", Compilation;
    SnapshotEphemeral = "snapshot-ephemeral", Compilation;
    SourceUnknown = "source-unknown", Compilation;
    SqlInvalid = "sql-invalid", Database;
    SqlSyntax = "sql-syntax", Database;
    SqlUnsafe = "sql-unsafe", Database;
    StorageAccess = "storage-access", Database;
    StorageFeature = "storage-feature", Database;
    StorageUri = "storage-uri", Database;
    TableDamaged = "table-damaged", Database;
    TableFeature = "table-feature", Database;
    TableUnwritable = "table-unwritable", Database;
    StreamUnreadable = "stream-unreadable", Database;
    TypeUnknown = "type-unknown", Database;
    UndefinedEnvVar = "undefined-env-var", Compilation;
    UndefinedMacro = "undefined-macro", Compilation;
    UndefinedName = "undefined-name", Compilation;
    UndefinedVar = "undefined-var", Compilation;
    UnitTestInput = "unit-test-input", Compilation;
    UnknownCode = "unknown-code", Compilation;
    UnknownColumn = "unknown-column", Database;
    UnknownFunction = "unknown-function", Database;
    UnknownGroup = "unknown-group", Compilation;
    UnknownKey = "unknown-key", Compilation;
    UnknownTable = "unknown-table", Database;
    UnresolvedRef = "unresolved-ref", Compilation;
    UnresolvedSource = "unresolved-source", Compilation;
    WriteConflict = "write-conflict", Database;
    YamlSyntax = "yaml-syntax", Compilation;
    YamlType = "yaml-type", Compilation;
}

impl std::str::FromStr for Code {
    type Err = ();

    fn from_str(name: &str) -> Result<Self, ()> {
        Self::ALL.iter().copied().find(|code| code.name() == name).ok_or(())
    }
}

impl std::fmt::Display for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}
