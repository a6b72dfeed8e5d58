//! The repository as the rules see it.

use std::collections::BTreeSet;
use std::path::Path;

use super::source::Source;
use crate::{Refusal, workspace};

/// What is wrong, and where.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    /// Path from the root.
    pub(crate) file: String,
    /// Line, from 1.
    pub(crate) line: usize,
    /// What is wrong, and what to do.
    pub(crate) text: String,
}

impl Finding {
    /// At a byte of a source file.
    pub(crate) fn at(source: &Source, offset: usize, text: impl Into<String>) -> Self {
        Finding { file: source.path.clone(), line: source.line(offset), text: text.into() }
    }

    /// Of a file as a whole.
    pub(crate) fn of(file: &str, text: impl Into<String>) -> Self {
        Finding { file: file.to_owned(), line: 1, text: text.into() }
    }
}

/// A text file that is no Rust source.
pub(crate) struct Document {
    /// Path from the root.
    pub(crate) path: String,
    /// Its text.
    pub(crate) text: String,
}

/// All that the rules look at.
pub(crate) struct Tree {
    /// Every file's path.
    pub(crate) files: BTreeSet<String>,
    /// `*.rs`.
    pub(crate) sources: Vec<Source>,
    /// `*.md`.
    pub(crate) documents: Vec<Document>,
    /// `Cargo.toml`, the root's first.
    pub(crate) manifests: Vec<Document>,
}

impl Tree {
    /// Reads what the rules need of `files` below `root`.
    pub(crate) fn read(root: &Path, files: Vec<String>) -> Result<Self, Refusal> {
        let wanted = |file: &&String| file.ends_with(".rs") || file.ends_with(".md") || is_manifest(file);
        let texts: Vec<_> = files
            .iter()
            .filter(wanted)
            .map(|file| Ok((file.as_str(), workspace::read(root, file)?)))
            .collect::<Result<_, Refusal>>()?;
        let mut tree = Tree::of(texts.iter().map(|(file, text)| (*file, text.as_str())));
        tree.files.extend(files);
        Ok(tree)
    }

    /// A tree of these files and texts.
    pub(crate) fn of<'a>(texts: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let (mut sources, mut documents, mut manifests) = (Vec::new(), Vec::new(), Vec::new());
        let mut files = BTreeSet::new();
        for (path, text) in texts {
            files.insert(path.to_owned());
            let document = || Document { path: path.to_owned(), text: text.to_owned() };
            match path {
                _ if path.ends_with(".rs") => sources.push(Source::new(path, text)),
                _ if path.ends_with(".md") => documents.push(document()),
                _ if is_manifest(path) => manifests.push(document()),
                _ => {}
            }
        }
        manifests.sort_by_key(|manifest| manifest.path != "Cargo.toml");
        Tree { files, sources, documents, manifests }
    }

    /// The sources below any of these folders.
    pub(crate) fn below<'a>(&'a self, folders: &'a [&'static str]) -> impl Iterator<Item = &'a Source> {
        let inside = |source: &&Source| folders.iter().any(|folder| source.path.starts_with(folder));
        self.sources.iter().filter(inside)
    }
}

fn is_manifest(path: &str) -> bool {
    path == "Cargo.toml" || path.ends_with("/Cargo.toml")
}
