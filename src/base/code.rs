//! The closed list of diagnostic codes; each has a page under `docs/codes/` that `alluvium explain` prints.

macro_rules! codes {
    ($($variant:ident = $name:literal,)*) => {
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

codes! {
    AccessDenied = "access-denied",
    AmbiguousRef = "ambiguous-ref",
    BatchUnfiltered = "batch-unfiltered",
    BreakingChange = "breaking-change",
    ConfigType = "config-type",
    ContractChanged = "contract-changed",
    ConstraintIgnored = "constraint-ignored",
    ConstraintInvalid = "constraint-invalid",
    ConstraintViolated = "constraint-violated",
    ContractMismatch = "contract-mismatch",
    ContractNull = "contract-null",
    Cycle = "cycle",
    DeprecatedModel = "deprecated-model",
    DuplicateKey = "duplicate-key",
    DuplicateName = "duplicate-name",
    DuplicateRelation = "duplicate-relation",
    FanOut = "fan-out",
    ForeignAdapter = "foreign-adapter",
    InputFile = "input-file",
    InternalError = "internal-error",
    IntegerDivision = "integer-division",
    InvalidSelector = "invalid-selector",
    JinjaRuntime = "jinja-runtime",
    JinjaSyntax = "jinja-syntax",
    JinjaUnsupported = "jinja-unsupported",
    LayerMaterialization = "layer-materialization",
    LayerRead = "layer-read",
    LayerRequirement = "layer-requirement",
    MacroArguments = "macro-arguments",
    MemoryLimit = "memory-limit",
    NamingColumn = "naming-column",
    NamingModel = "naming-model",
    NotAvailable = "not-available",
    NotProved = "not-proved",
    OrphanProperties = "orphan-properties",
    OuterJoinGroup = "outer-join-group",
    PackageUnavailable = "package-unavailable",
    PackageVersion = "package-version",
    PackagesMissing = "packages-missing",
    ProfileInvalid = "profile-invalid",
    ProjectNotFound = "project-not-found",
    RaisedByProject = "raised-by-project",
    SelectStar = "select-star",
    SnapshotEphemeral = "snapshot-ephemeral",
    SourceUnknown = "source-unknown",
    SqlInvalid = "sql-invalid",
    SqlSyntax = "sql-syntax",
    SqlUnsafe = "sql-unsafe",
    StorageAccess = "storage-access",
    StorageFeature = "storage-feature",
    StorageUri = "storage-uri",
    TableDamaged = "table-damaged",
    TableFeature = "table-feature",
    TableUnwritable = "table-unwritable",
    StreamUnreadable = "stream-unreadable",
    TypeUnknown = "type-unknown",
    UndefinedEnvVar = "undefined-env-var",
    UndefinedMacro = "undefined-macro",
    UndefinedVar = "undefined-var",
    UnitTestInput = "unit-test-input",
    UnknownCode = "unknown-code",
    UnknownColumn = "unknown-column",
    UnknownFunction = "unknown-function",
    UnknownGroup = "unknown-group",
    UnknownKey = "unknown-key",
    UnknownTable = "unknown-table",
    UnresolvedRef = "unresolved-ref",
    UnresolvedSource = "unresolved-source",
    WriteConflict = "write-conflict",
    YamlSyntax = "yaml-syntax",
    YamlType = "yaml-type",
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
