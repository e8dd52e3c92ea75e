//! What every room stands on: sources and spans, diagnostics and their codes, events, and the seams to the
//! file system and the clock. Knows nothing of dbt, SQL or Delta.

mod clock;
mod code;
mod diagnostic;
mod escape;
mod event;
pub mod files;
mod journal;
mod nearest;
mod print;
mod source;

pub use clock::{Clock, SystemClock, moment};
pub use code::Code;
pub use diagnostic::{Diagnostic, Diagnostics, Label, Severity};
pub use escape::{visible, visible_line};
pub use event::{Event, EventSink, Events, NodeDone, NodeOutcome, NodeStart, RelationParts, Totals};
pub use journal::{Abandoned, Journal};
pub use nearest::nearest;
pub use print::{PrintStyle, render_diagnostic};
pub use source::{FileId, Position, SourceFile, Sources, Span, Spanned};
