//! What every room stands on: sources and spans, diagnostics and their codes, events, and the seams to the
//! file system and the clock, results kept between commands. Knows nothing of dbt, SQL or Delta.

mod clock;
mod code;
mod diagnostic;
mod escape;
mod event;
pub mod files;
mod fingerprint;
mod journal;
mod memo;
mod nearest;
mod parallel;
mod print;
mod source;
mod stored;

pub use clock::{Clock, SystemClock, moment};
pub use code::{Code, Failure};
pub use diagnostic::{Diagnostic, Diagnostics, Label, Severity};
pub use escape::{visible, visible_line};
pub use event::{Event, EventSink, Events, Heard, NodeAbout, NodeDone, NodeOutcome, NodeStart, RelationParts, Shown, Totals};
pub use files::FileError;
pub use fingerprint::{Fingerprint, Fingerprinter};
pub use journal::{Abandoned, Journal};
pub use memo::{Memo, MemoUse, read_record, record_of};
pub use nearest::nearest;
pub use parallel::{STACK, beside, drop_aside, in_order, in_parallel, side_by_side};
pub use print::{PrintStyle, failure_message, headline, render_diagnostic};
pub use source::{FileId, Position, SourceFile, Sources, Span, Spanned};
pub use stored::StoredDiagnostics;
