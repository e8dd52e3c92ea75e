//! The flags that are on or off: `--x` and `--no-x`, an environment variable, a key of the project file's `flags`.

use std::collections::BTreeMap;

use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command};

macro_rules! switches {
    ($($variant:ident = $name:literal, $short:expr, $default:literal, $kind:ident, $help:literal;)*) => {
        /// A flag that is on or off.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub(crate) enum Switch { $($variant,)* }

        impl Switch {
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            fn spec(self) -> Spec {
                match self {
                    $(Self::$variant => Spec {
                        on: $name,
                        off: concat!("no-", $name),
                        short: $short,
                        default: $default,
                        kind: Kind::$kind,
                        help: $help,
                    },)*
                }
            }
        }
    };
}

struct Spec {
    on: &'static str,
    off: &'static str,
    short: Option<char>,
    default: bool,
    kind: Kind,
    help: &'static str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Does something.
    Live,
    /// Tunes a mechanism of dbt's that this program has no need of: whatever it says, the outcome is the same.
    Moot,
    /// Has no environment variable.
    Bare,
}

switches! {
    FullRefresh = "full-refresh", Some('f'), false, Live, "Rebuild incremental models from nothing";
    FailFast = "fail-fast", Some('x'), false, Live, "Stop at the first failure";
    StoreFailures = "store-failures", None, false, Live, "Keep the failing rows of tests in tables";
    Empty = "empty", None, false, Live, "Let every ref and source yield no rows: proves that the SQL runs";
    Defer = "defer", None, false, Live, "Read what is not selected from the project of --state, where it does not exist here";
    FavorState = "favor-state", None, false, Live, "With --defer: read it from there even where it exists here";
    WarnError = "warn-error", None, false, Live, "Make errors of all warnings";
    Quiet = "quiet", Some('q'), false, Live, "Print errors and results only";
    Debug = "debug", Some('d'), false, Live, "Print debug lines too";
    Print = "print", None, true, Live, "Print what templates say with print()";
    UseColors = "use-colors", None, true, Live, "Plain text without colours";
    WriteJson = "write-json", None, true, Live, "Write no JSON artifacts";
    VersionCheck = "version-check", None, true, Live, "Ignore the require-dbt-version of the project and its packages";
    Introspect = "introspect", None, true, Live, "Let no template query the warehouse while compiling";
    SingleThreaded = "single-threaded", None, false, Live, "One node at a time";
    InjectEphemeralCtes = "inject-ephemeral-ctes", None, true, Bare, "Compile: leave out the SQL of ephemeral models";
    ShowAllDeprecations = "show-all-deprecations", None, false, Bare, "Every deprecation, and not one of each kind (always so here; of keys that nothing reads one of each name)";
    PartialParse = "partial-parse", None, true, Live, "Look at no results that earlier commands kept";
    PartialParseFileDiff = "partial-parse-file-diff", None, true, Moot, "As --partial-parse";
    StaticParser = "static-parser", None, true, Moot, "Parse simple models without rendering (not needed here)";
    UseExperimentalParser = "use-experimental-parser", None, false, Moot, "As --static-parser";
    UseFastTestEdges = "use-fast-test-edges", None, false, Moot, "Another way to the same order of tests";
    PopulateCache = "populate-cache", None, true, Moot, "List the relations of all schemas first (there is no such cache here)";
    CacheSelectedOnly = "cache-selected-only", None, false, Moot, "As --populate-cache";
    LogCacheEvents = "log-cache-events", None, false, Moot, "As --populate-cache";
    MacroDebugging = "macro-debugging", None, false, Moot, "Write macros to files for a Python debugger";
    UseColorsFile = "use-colors-file", None, true, Moot, "Colours in the log file (it never has any here)";
    SendAnonymousUsageStats = "send-anonymous-usage-stats", None, true, Moot, "Nothing is ever sent anywhere";
    ShowResourceReport = "show-resource-report", None, false, Moot, "Resources used, in the log";
}

impl Switch {
    /// The key in the project file's `flags`, in templates' `flags` and in artifacts.
    pub(crate) fn key(self) -> String {
        self.spec().on.replace('-', "_")
    }

    fn env(self) -> Option<String> {
        let spec = self.spec();
        (spec.kind != Kind::Bare).then(|| format!("DBT_{}", self.key().to_uppercase()))
    }
}

/// What was said about the switches; the others have their defaults.
#[derive(Debug, Clone, Default)]
pub(crate) struct Switches(BTreeMap<Switch, bool>);

impl Switches {
    pub(crate) fn is_on(&self, switch: Switch) -> bool {
        self.0.get(&switch).copied().unwrap_or(switch.spec().default)
    }

    /// What was said, if anything.
    pub(crate) fn given(&self, switch: Switch) -> Option<bool> {
        self.0.get(&switch).copied()
    }

    /// For a switch about which nothing was said so far.
    pub(crate) fn default_to(&mut self, switch: Switch, on: bool) {
        self.0.entry(switch).or_insert(on);
    }

    pub(crate) fn set(&mut self, switch: Switch, on: bool) {
        self.0.insert(switch, on);
    }
}

impl clap::Args for Switches {
    fn augment_args(mut command: Command) -> Command {
        for switch in Switch::ALL {
            let spec = switch.spec();
            let moot = spec.kind == Kind::Moot;
            let effect = if moot { "; accepted and without effect" } else { "" };
            let env = switch.env().map_or_else(String::new, |env| format!(" [env: {env}]"));
            let help = format!("{}{effect}{env}", spec.help);
            let base =
                |name: &'static str| Arg::new(name).long(name).global(true).action(ArgAction::SetTrue).help(help.clone()).hide_short_help(moot);
            let mut on = base(spec.on).overrides_with(spec.off).hide(spec.default);
            if let Some(short) = spec.short {
                on = on.short(short);
            }
            command = command.arg(on).arg(base(spec.off).overrides_with(spec.on).hide(!spec.default));
        }
        command
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

/// What the environment says, in dbt's words for yes and no; a variable that is empty counts as not set.
fn from_environment(switch: Switch) -> Result<Option<bool>, clap::Error> {
    let Some(name) = switch.env() else { return Ok(None) };
    let newer = name.replacen("DBT_", "DBT_ENGINE_", 1);
    let found = [newer, name].into_iter().find_map(|name| std::env::var(&name).ok().filter(|text| !text.is_empty()).map(|text| (name, text)));
    let Some((name, text)) = found else { return Ok(None) };
    match text.trim().to_lowercase().as_str() {
        "1" | "true" | "t" | "yes" | "y" | "on" => Ok(Some(true)),
        "0" | "false" | "f" | "no" | "n" | "off" => Ok(Some(false)),
        _ => Err(clap::Error::raw(ErrorKind::InvalidValue, format!("the environment variable {name} is `{text}`: expected true or false\n"))),
    }
}

impl clap::FromArgMatches for Switches {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut switches = Self::default();
        switches.update_from_arg_matches(matches)?;
        Ok(switches)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        for switch in Switch::ALL {
            let spec = switch.spec();
            let typed = |name: &str| matches.value_source(name) == Some(ValueSource::CommandLine);
            if typed(spec.on) {
                self.set(*switch, true);
            } else if typed(spec.off) {
                self.set(*switch, false);
            } else if let Some(on) = from_environment(*switch)? {
                self.set(*switch, on);
            }
        }
        Ok(())
    }
}
