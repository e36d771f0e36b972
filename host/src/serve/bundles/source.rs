//! Where bundles come from: a file, a folder, or a URL.

use crate::failure::{self, Failure, Result};
use crate::serve::client;
use hyper::header::{ETAG, HeaderValue, IF_NONE_MATCH};
use hyper::{Request, StatusCode, Uri};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};
use tollgate_scorer::limits;

/// Time for fetching a bundle from a URL.
const FETCH: Duration = Duration::from_secs(30);
/// How bundle files in a folder end.
const ENDING: &str = "tollgate";

/// A place that bundles come from.
pub(super) enum Source {
    Path { path: PathBuf, seen: Option<Seen> },
    Url { url: Uri, ca_file: Option<PathBuf>, tag: Option<HeaderValue> },
}

/// How a file looked when it was read last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    path: PathBuf,
    modified: SystemTime,
    bytes: u64,
    /// The file's own number: two files may be made within one tick of the clock.
    number: u64,
}

impl Source {
    /// # Errors
    /// `USAGE` for a URL that is none of http or https.
    pub(super) fn parse(text: &str, ca_file: Option<&Path>) -> Result<Self> {
        if !text.contains("://") {
            return Ok(Self::Path { path: text.into(), seen: None });
        }
        let url: Uri = text.parse().map_err(|error| Failure::usage(format!("bundle: {text} is no URL: {error}")))?;
        client::check(&url)?;
        Ok(Self::Url { url, ca_file: ca_file.map(Path::to_owned), tag: None })
    }

    /// What is there, if it changed since it was looked at last.
    ///
    /// # Errors
    /// `IO` or `UNREACHABLE`.
    pub(super) fn fetch(&mut self) -> Result<Option<Vec<u8>>> {
        match self {
            Self::Path { path, seen } => {
                let now = look(path)?;
                if seen.as_ref() == Some(&now) {
                    return Ok(None);
                }
                let bytes = failure::read(&now.path, limits::BUNDLE_BYTES)?;
                *seen = Some(now);
                Ok(Some(bytes))
            }
            Self::Url { url, ca_file, tag } => download(url, ca_file.as_deref(), tag),
        }
    }

    /// The next look takes what is there as new.
    pub(super) fn forget(&mut self) {
        match self {
            Self::Path { seen, .. } => *seen = None,
            Self::Url { tag, .. } => *tag = None,
        }
    }
}

/// The file itself, or the newest bundle of a folder.
fn look(path: &Path) -> Result<Seen> {
    let at = |error: std::io::Error| Failure::io(path, &error);
    let seen = |path: PathBuf| -> std::io::Result<Seen> {
        let metadata = std::fs::metadata(&path)?;
        #[cfg(unix)]
        let number = std::os::unix::fs::MetadataExt::ino(&metadata);
        #[cfg(not(unix))]
        let number = 0;
        Ok(Seen { modified: metadata.modified()?, bytes: metadata.len(), number, path })
    };
    if !path.is_dir() {
        return seen(path.to_owned()).map_err(at);
    }
    let mut newest: Option<Seen> = None;
    for entry in std::fs::read_dir(path).map_err(at)? {
        let found = entry.map_err(at)?.path();
        if found.extension().is_some_and(|ending| ending == ENDING) {
            // A file that is gone by now is no candidate.
            let Ok(found) = seen(found) else { continue };
            if newest.as_ref().is_none_or(|best| (best.modified, &best.path) < (found.modified, &found.path)) {
                newest = Some(found);
            }
        }
    }
    newest.ok_or_else(|| Failure::refused("NO_BUNDLE", format!("{}: no file ends in .{ENDING}", path.display())))
}

fn download(url: &Uri, ca_file: Option<&Path>, tag: &mut Option<HeaderValue>) -> Result<Option<Vec<u8>>> {
    let unreachable = |what: String| Failure::refused("UNREACHABLE", format!("{url}: {what}"));
    let mut request = Request::get(url.clone());
    if let Some(tag) = tag.as_ref() {
        request = request.header(IF_NONE_MATCH, tag.clone());
    }
    let request = request.body(bytes::Bytes::new()).map_err(|error| unreachable(error.to_string()))?;
    let answer = client::blocking(url, ca_file, request, FETCH, limits::BUNDLE_BYTES);
    let answer = answer.map_err(|failure| failure.within(url))?;
    match answer.status() {
        StatusCode::NOT_MODIFIED => Ok(None),
        StatusCode::OK => {
            *tag = answer.headers().get(ETAG).cloned();
            Ok(Some(answer.into_body().to_vec()))
        }
        status => Err(unreachable(format!("the answer was {status}"))),
    }
}
