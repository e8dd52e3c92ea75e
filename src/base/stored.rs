//! Diagnostics as records between commands: places by the name and the fingerprint of their file, so that none is shown
//! in a file that was edited since.

use serde::{Deserialize, Serialize};

use super::{Code, Diagnostic, FileId, Fingerprint, Label, Severity, Sources, Span};

/// Diagnostics that can be kept.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct StoredDiagnostics {
    files: Vec<StoredFile>,
    found: Vec<StoredDiagnostic>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
enum StoredFile {
    /// A file of the user's.
    Named { path: String, text: Fingerprint },
    /// A text that a stage made, such as rendered SQL.
    Made { path: String, text: String },
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct StoredDiagnostic {
    code: String,
    is_error: bool,
    message: String,
    labels: Vec<StoredLabel>,
    notes: Vec<String>,
    help: Option<String>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct StoredLabel {
    file: usize,
    start: u32,
    end: u32,
    text: String,
    primary: bool,
}

impl StoredDiagnostics {
    /// For keeping.
    #[must_use]
    pub fn new(diagnostics: &[Diagnostic], sources: &Sources) -> Self {
        let mut ids: Vec<FileId> = Vec::new();
        let mut number = |id: FileId| {
            ids.iter().position(|known| *known == id).unwrap_or_else(|| {
                ids.push(id);
                ids.len() - 1
            })
        };
        let found = diagnostics.iter().map(|diagnostic| StoredDiagnostic {
            code: diagnostic.code.name().to_owned(),
            is_error: diagnostic.is_error(),
            message: diagnostic.message.clone(),
            labels: diagnostic.labels.iter().map(|label| stored(label, number(label.span.file))).collect(),
            notes: diagnostic.notes.clone(),
            help: diagnostic.help.clone(),
        });
        let found = found.collect();
        let file = |id: &FileId| {
            let file = sources.file(*id);
            if file.is_made {
                StoredFile::Made { path: file.path.clone(), text: file.text.to_string() }
            } else {
                StoredFile::Named { path: file.path.clone(), text: Fingerprint::of_text(&file.text) }
            }
        };
        Self { files: ids.iter().map(file).collect(), found }
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// The diagnostics again; `None` if a file that they point into is another by now.
    #[must_use]
    pub fn restored(self, sources: &Sources) -> Option<Vec<Diagnostic>> {
        let mut ids = Vec::with_capacity(self.files.len());
        for file in self.files {
            ids.push(match file {
                StoredFile::Made { path, text } => sources.add_made(&path, text),
                StoredFile::Named { path, text } => sources.named(&path).filter(|id| Fingerprint::of_text(&sources.file(*id).text) == text)?,
            });
        }
        self.found.into_iter().map(|found| restored(found, &ids)).collect()
    }
}

fn stored(label: &Label, file: usize) -> StoredLabel {
    StoredLabel { file, start: label.span.start, end: label.span.end, text: label.text.clone(), primary: label.primary }
}

fn restored(found: StoredDiagnostic, ids: &[FileId]) -> Option<Diagnostic> {
    let label = |label: StoredLabel| {
        let span = Span { file: *ids.get(label.file)?, start: label.start, end: label.end };
        Some(Label { span, text: label.text, primary: label.primary })
    };
    Some(Diagnostic {
        code: found.code.parse::<Code>().ok()?,
        severity: if found.is_error { Severity::Error } else { Severity::Warning },
        message: found.message,
        labels: found.labels.into_iter().map(label).collect::<Option<_>>()?,
        notes: found.notes,
        help: found.help,
    })
}
